internal import CRedisModule
internal import Synchronization

/// A server string kept alive beyond the command that brought it: the bytes of a large argument without a copy.
///
/// The server counts references to its strings without synchronisation, so taking one is the main thread's business, and
/// so is releasing one, unless it is known to be the only one.
public final class HeldString: @unchecked Sendable {
    private let raw: OpaquePointer
    private let isOnlyReference = Atomic(false)

    /// Main thread only.
    init(holding string: OpaquePointer) {
        raw = RedisModule_HoldString(nil, string)
    }

    deinit {
        if isOnlyReference.load(ordering: .relaxed) {
            BackgroundRelease.run(byteCount) { [raw = SendablePointer(raw)] in RedisModule_FreeString(nil, raw.value) }
        } else {
            MainThread.release(string: raw)
        }
    }

    /// Says that the command which brought the string will have let go of it before anything else can happen on the main
    /// thread. From then on a large string is given back in the background.
    public func becomeOnlyReference() {
        isOnlyReference.store(true, ordering: .relaxed)
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
