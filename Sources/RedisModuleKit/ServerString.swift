internal import CRedisModule
internal import Synchronization

/// A string of the server that lives beyond the command at hand: one of the client's arguments without a copy, or one of
/// our own.
///
/// The server counts references to its strings without synchronisation, so making and taking one is the main thread's
/// business, and so is releasing one, unless it is known to be the only reference.
public final class ServerString: @unchecked Sendable {
    let raw: OpaquePointer
    private let isOnlyReference = Atomic(false)

    /// Keeps an argument. Main thread only.
    public init(holding argument: Argument) {
        raw = RedisModule_HoldString(nil, argument.raw)
    }

    /// Copies `bytes`. Main thread only.
    public init(_ bytes: UnsafeRawBufferPointer) {
        raw = RedisModule_CreateString(nil, bytes.baseAddress?.assumingMemoryBound(to: CChar.self), bytes.count)
    }

    /// Copies the text's UTF-8. Main thread only.
    public convenience init(_ text: String) {
        var text = text
        self.init(copying: &text)
    }

    private init(copying text: inout String) {
        raw = text.withUTF8 { bytes in
            let bytes = UnsafeRawBufferPointer(bytes)
            return RedisModule_CreateString(nil, bytes.baseAddress?.assumingMemoryBound(to: CChar.self), bytes.count)
        }
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

    /// Calls `body` with the string's bytes, in place. Any thread: the bytes do not change.
    public func withBytes<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try Argument(raw: raw).withBytes(body)
    }
}
