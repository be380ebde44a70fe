internal import CRedisModule

/// A server string kept alive beyond the command that brought it: the bytes of a large argument without a copy.
///
/// The server counts references to its strings without synchronisation, so taking and releasing one is the main
/// thread's business: `hold()` happens there, and a release from another thread is handed over to it.
public final class HeldString: @unchecked Sendable {
    private let raw: OpaquePointer

    /// Main thread only.
    init(holding string: OpaquePointer) {
        raw = RedisModule_HoldString(nil, string)
    }

    deinit {
        MainThread.release(string: raw)
    }

    public var byteCount: Int { withBytes { $0.count } }

    /// Calls `body` with the string's bytes, in place. Any thread: the bytes of a held string do not change.
    public func withBytes<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        var length = 0
        let bytes = RedisModule_StringPtrLen(raw, &length)
        return try body(UnsafeRawBufferPointer(start: bytes, count: length))
    }
}
