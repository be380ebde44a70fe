internal import CRedisModule
internal import Glibc

/// What belongs to the server's main thread.
public enum MainThread {
    nonisolated(unsafe) private static var identity: pthread_t?

    /// Remembers the calling thread as the main thread. Called once, when the module is loaded.
    static func adoptCurrent() {
        identity = pthread_self()
    }

    /// Whether the caller is the main thread.
    public static var isCurrent: Bool {
        guard let identity else { return false }
        return pthread_equal(identity, pthread_self()) != 0
    }

    /// Runs `body`: at once on the main thread, else in its next round of events. Any thread.
    static func run(_ body: @escaping @Sendable () -> Void) {
        guard !isCurrent else { return body() }
        let job = Unmanaged.passRetained(Job(body))
        let isAccepted = RedisModule_EventLoopAddOneShot(
            { $0.map { Unmanaged<Job>.fromOpaque($0).takeRetainedValue().body() } }, job.toOpaque())
        if isAccepted != RM_OK { job.release() }
    }

    private final class Job: Sendable {
        let body: @Sendable () -> Void

        init(_ body: @escaping @Sendable () -> Void) {
            self.body = body
        }
    }

    /// Gives up one reference to a server string: at once on the main thread, else in its next round of events.
    static func release(string: OpaquePointer) {
        if isCurrent {
            RedisModule_FreeString(nil, string)
        } else {
            _ = RedisModule_EventLoopAddOneShot(
                { RedisModule_FreeString(nil, $0.map { OpaquePointer($0) }) }, UnsafeMutableRawPointer(string))
        }
    }
}
