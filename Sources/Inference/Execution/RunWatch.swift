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
        var start: Instant
        var isInterrupted = false
    }

    private struct State {
        /// What is running, outermost first: a script may run a model.
        var runs: [Run] = []
        /// Since when the thread has waited for the server.
        var waitStart: Instant?
        var isClosed = false
        /// Runs that have been interrupted so far.
        var interruptionCount = 0

        mutating func interruptRun(_ index: Int) {
            guard !runs[index].isInterrupted else { return }
            runs[index].isInterrupted = true
            interruptionCount += 1
            runs[index].target.interrupt()
        }
    }

    private let clock: MonotonicClock
    private let isWatched: Bool
    private let state = Mutex(State())

    /// - Parameter isWatched: false where nobody will ever look: then nothing is noted.
    public init(clock: MonotonicClock, isWatched: Bool = true) {
        self.clock = clock
        self.isWatched = isWatched
    }

    /// Runs `body` while `target` can be interrupted. After the return no interrupt reaches it any more.
    public func during<Result, Failure: Error>(
        _ target: some Interruptible, _ body: () throws(Failure) -> Result
    ) throws(Failure) -> Result {
        guard isWatched else { return try body() }
        let run = Run(target: target, start: clock.now())
        state.withLock { state in
            let mustEnd = state.isClosed || state.runs.last?.isInterrupted == true
            state.runs.append(run)
            if mustEnd { state.interruptRun(state.runs.count - 1) }
        }
        defer { state.withLock { _ = $0.runs.popLast() } }
        return try body()
    }

    /// Runs `body`, which waits for the server: its time does not count as the run's.
    func whileWaiting<Result, Failure: Error>(_ body: () throws(Failure) -> Result) throws(Failure) -> Result {
        state.withLock { $0.waitStart = clock.now() }
        defer {
            state.withLock { state in
                let waited = state.waitStart.map { clock.now() - $0 } ?? 0
                state.waitStart = nil
                for index in state.runs.indices { state.runs[index].start.nanoseconds += waited }
            }
        }
        return try body()
    }

    /// Whether the thread waits for the server.
    var isWaiting: Bool { state.withLock { $0.waitStart != nil } }

    var interruptionCount: Int { state.withLock { $0.interruptionCount } }

    /// Whether nothing is to run any more.
    var isStopped: Bool { state.withLock { $0.isClosed } }

    /// Interrupts what has lasted longer than `limit` nanoseconds, once, with all that runs within it. The lock is held
    /// for moments only.
    func interrupt(olderThan limit: Int) {
        state.withLock { state in
            // A run that waits has lasted until it began to.
            let now = state.waitStart ?? clock.now()
            guard let outermost = state.runs.firstIndex(where: { now - $0.start > limit }) else { return }
            for index in outermost..<state.runs.count { state.interruptRun(index) }
        }
    }

    /// Whether the outermost run has lasted longer than `limit` nanoseconds.
    func isRunning(longerThan limit: Int) -> Bool {
        state.withLock { state in
            guard let run = state.runs.first, state.waitStart == nil else { return false }
            return clock.now() - run.start > limit
        }
    }

    /// Interrupts what is running, and every run that may still follow.
    func close() {
        state.withLock { state in
            state.isClosed = true
            for index in state.runs.indices { state.interruptRun(index) }
        }
    }
}
