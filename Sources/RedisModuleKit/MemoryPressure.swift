internal import CRedisModule

/// Whether the server has more memory in use than `maxmemory` allows: it is evicting keys then, or refusing writes.
///
/// While it evicts, it looks at its count of memory after each key, and goes on to the next one until enough has come back.
/// What is given back later, by another thread, it does not see: it would evict every key that there is.
public enum MemoryPressure {
    /// Whether memory has to be given back at once. Never in threads other than the main one, where nobody is looking.
    public static var isHigh: Bool {
        MainThread.isCurrent && RedisModule_GetContextFlags(nil) & RM_CONTEXT_OUT_OF_MEMORY != 0
    }
}
