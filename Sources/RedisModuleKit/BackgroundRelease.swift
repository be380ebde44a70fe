/// Gives large blocks of memory back where nobody waits: handing many pages to the system takes milliseconds.
public enum BackgroundRelease {
    /// Runs a job in a thread other than the main one. Set once, while the module is loaded; nil runs jobs in place.
    nonisolated(unsafe) public static var executor: ((@escaping @Sendable () -> Void) -> Void)?

    /// Below this many bytes handing over costs more than releasing.
    private static let threshold = 64 << 10

    /// Runs `release`, which gives `byteCount` bytes back: in the background when there are many, the caller is the main thread,
    /// and the server does not wait for them.
    static func run(_ byteCount: Int, _ release: @escaping @Sendable () -> Void) {
        guard byteCount >= threshold, MainThread.isCurrent, !MemoryPressure.isHigh, let executor else {
            return release()
        }
        executor(release)
    }
}

/// Carries a pointer into another thread.
struct SendablePointer<Pointer>: @unchecked Sendable {
    let value: Pointer

    init(_ value: Pointer) {
        self.value = value
    }
}
