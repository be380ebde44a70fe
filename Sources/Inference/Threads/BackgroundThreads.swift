internal import DequeModule

/// Threads for what takes long and must not be done where clients are served: building models, or giving their memory
/// back. Jobs are started in the order they come.
final class BackgroundThreads: @unchecked Sendable {
    /// What a thread is to do, unless nobody wants it any more by then.
    struct Job: Sendable {
        var isWanted: @Sendable () -> Bool = { true }
        let run: @Sendable (RunWatch) -> Void
    }

    private let name: String
    private let priority: WorkerThread.Priority
    private let clock: MonotonicClock

    // Guarded by `lock`.
    private let lock = ConditionLock()
    private var jobs = Deque<Job>()
    private var isStopping = false
    private var workers: [(thread: WorkerThread, watch: RunWatch)] = []

    init(name: String, priority: WorkerThread.Priority, clock: MonotonicClock) {
        self.name = name
        self.priority = priority
        self.clock = clock
    }

    /// Starts the threads. Returns false when the system has none to give.
    func start(threads: Int) -> Bool {
        for number in 1...threads {
            let watch = RunWatch(clock: clock)
            let thread = WorkerThread(name: "ai-\(name)-\(number)", priority: priority) { [unowned self] in
                work(watch)
            }
            guard let thread else { return false }
            workers.append((thread, watch))
        }
        return true
    }

    /// Jobs that wait for a thread.
    var depth: Int { lock.withLock { jobs.count } }

    func submit(_ run: @escaping @Sendable (RunWatch) -> Void) {
        submit(Job(run: run))
    }

    func submit(_ job: Job) {
        lock.withLock {
            jobs.append(job)
            lock.signal()
        }
    }

    /// Forgets jobs that nobody wants any more.
    func dropUnwanted() {
        // What they hold goes outside of the lock.
        let all = lock.withLock {
            let all = jobs
            jobs.removeAll { !$0.isWanted() }
            return all
        }
        _ = consume all
    }

    /// Has `body` run by one of the threads and waits for its result; nil when the threads are being stopped. Not to be
    /// called by a thread of this object.
    func value<Value: Sendable>(_ body: @escaping @Sendable () -> Value) -> Value? {
        let result = Pending<Value>()
        submit { _ in result.fulfil(body()) }
        return result.wait { [unowned self] in lock.withLock { isStopping } }
    }

    func interruptRuns(olderThan limit: Int) {
        for worker in workers { worker.watch.interrupt(olderThan: limit) }
    }

    /// Starts no further job and joins the threads. Returns whether all ended in time.
    func stop(withinSeconds seconds: Int) -> Bool {
        lock.withLock {
            isStopping = true
            lock.broadcast()
        }
        for worker in workers { worker.watch.close() }
        return workers.allSatisfy { $0.thread.join(withinSeconds: seconds) }
    }

    private func next() -> Job? {
        lock.withLock {
            while jobs.isEmpty && !isStopping { lock.wait() }
            return isStopping ? nil : jobs.popFirst()
        }
    }

    private func work(_ watch: RunWatch) {
        while let job = next() {
            if job.isWanted() { job.run(watch) }
        }
    }
}
