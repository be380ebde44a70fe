internal import DequeModule

/// The threads that do what takes long and must not be done while a client is served: building models, and giving
/// their memory back.
final class ModelLoader: @unchecked Sendable {
    typealias Job = @Sendable (RunWatch) -> Void

    private let clock: MonotonicClock

    // Guarded by `lock`.
    private let lock = ConditionLock()
    private var jobs = Deque<Job>()
    private var isStopping = false
    private var workers: [(thread: WorkerThread, watch: RunWatch)] = []

    init(clock: MonotonicClock) {
        self.clock = clock
    }

    /// Starts the threads. They run at low priority: serving goes before loading.
    func start(threads: Int) {
        for number in 1...threads {
            let watch = RunWatch(clock: clock)
            let thread = WorkerThread(name: "ai-loader-\(number)", priority: .low) { [unowned self] in work(watch) }
            if let thread { workers.append((thread, watch)) }
        }
    }

    /// Jobs that wait for a thread.
    var depth: Int { lock.withLock { jobs.count } }

    func submit(_ job: @escaping Job) {
        lock.withLock {
            jobs.append(job)
            lock.signal()
        }
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
        interruptRuns(olderThan: -1)
        return workers.allSatisfy { $0.thread.join(withinSeconds: seconds) }
    }

    private func next() -> Job? {
        lock.withLock {
            while jobs.isEmpty && !isStopping { lock.wait() }
            return isStopping ? nil : jobs.popFirst()
        }
    }

    private func work(_ watch: RunWatch) {
        while let job = next() { job(watch) }
    }
}
