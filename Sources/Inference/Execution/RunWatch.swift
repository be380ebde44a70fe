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
    private struct State {
        var run: Run?
        var isClosed = false
    }
    private let state = Mutex(State())

    public init(clock: MonotonicClock) {
        self.clock = clock
    }

    /// Runs `body` while `target` can be interrupted. After the return no interrupt reaches it any more.
    public func during<Result, Failure: Error>(
        _ target: some Interruptible, _ body: () throws(Failure) -> Result
    ) throws(Failure) -> Result {
        let run = Run(target: target, start: clock.now())
        state.withLock { state in
            state.run = run
            if state.isClosed { target.interrupt() }
        }
        defer { state.withLock { $0.run = nil } }
        return try body()
    }

    /// Interrupts the run, once, if it has lasted longer than `limit` nanoseconds. The lock is held for moments only.
    func interrupt(olderThan limit: Int) {
        state.withLock { state in
            guard let run = state.run, !run.isInterrupted, clock.now() - run.start > limit else { return }
            run.target.interrupt()
            state.run?.isInterrupted = true
        }
    }

    /// Whether a run has lasted longer than `limit` nanoseconds.
    func isRunning(longerThan limit: Int) -> Bool {
        state.withLock { state in
            guard let run = state.run else { return false }
            return clock.now() - run.start > limit
        }
    }

    /// Interrupts the run, and every run that may still follow.
    func close() {
        state.withLock { state in
            state.isClosed = true
            state.run?.target.interrupt()
        }
    }
}
