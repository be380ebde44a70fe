internal import Synchronization

/// Something that runs and can be told to stop.
public protocol Interruptible: AnyObject, Sendable {
    /// Asks the run to end soon. Any thread; returns at once.
    func interrupt()
}

/// Where one thread shows what it is running, so that a run that takes too long can be found and stopped.
public final class RunWatch: Sendable {
    private struct Run {
        let target: any Interruptible
        let start: Instant
        var isInterrupted = false
    }

    private let clock: MonotonicClock
    private let current = Mutex<Run?>(nil)

    init(clock: MonotonicClock) {
        self.clock = clock
    }

    /// Runs `body` while `target` can be interrupted. After the return no interrupt reaches it any more.
    public func during<Result, Failure: Error>(
        _ target: some Interruptible, _ body: () throws(Failure) -> Result
    ) throws(Failure) -> Result {
        let run = Run(target: target, start: clock.now())
        current.withLock { $0 = run }
        defer { current.withLock { $0 = nil } }
        return try body()
    }

    /// Interrupts the run, once, if it has lasted longer than `limit` nanoseconds. The lock is held for moments only.
    func interrupt(olderThan limit: Int) {
        current.withLock { run in
            guard let active = run, !active.isInterrupted, clock.now() - active.start > limit else { return }
            active.target.interrupt()
            run?.isInterrupted = true
        }
    }
}
