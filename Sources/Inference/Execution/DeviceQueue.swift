internal import DequeModule
internal import Tensors

/// The requests for one device, first come first served, and the threads that run them.
///
/// This is where requests for the same model will be gathered into batches.
public final class DeviceQueue: @unchecked Sendable {
    /// Threads that may be lost to runs that do not end.
    static let lostLimit = 16

    let name: String
    private let clock: MonotonicClock
    private let limit: Int

    // Guarded by `lock`.
    private let lock = ConditionLock()
    private var waiting = Deque<InferenceRequest>()
    private var workers: [Worker] = []
    /// Those in runs that have been given up.
    private var lost: [Worker] = []
    private var isStopping = false

    /// Starts the threads; nil when the system has none to give.
    init?(name: String, threads: Int, limit: Int, clock: MonotonicClock) {
        self.name = name
        self.clock = clock
        self.limit = limit
        for number in 1...threads {
            guard let worker = startWorker(number) else {
                _ = stop(withinSeconds: 1)
                return nil
            }
            lock.withLock { workers.append(worker) }
        }
    }

    /// One thread of the queue. Its fields are guarded by the queue's lock.
    private final class Worker: @unchecked Sendable {
        let number: Int
        let watch: RunWatch
        var thread: WorkerThread?
        /// What it is running.
        var request: InferenceRequest?
        /// Its run did not end in time and has been answered without it: when it comes back, it is to go.
        var isAbandoned = false

        init(number: Int, watch: RunWatch) {
            self.number = number
            self.watch = watch
        }
    }

    private func startWorker(_ number: Int) -> Worker? {
        let worker = Worker(number: number, watch: RunWatch(clock: clock))
        worker.thread = WorkerThread(name: "ai-\(name)-\(number)") { [unowned self] in work(worker) }
        return worker.thread == nil ? nil : worker
    }

    /// Puts a request at the end of the queue; false when the queue is full, or nobody is left to run anything.
    func submit(_ request: InferenceRequest) -> Bool {
        request.markSubmitted(clock.now())
        return lock.withLock {
            guard waiting.count < limit, !workers.isEmpty, !isStopping else { return false }
            waiting.append(request)
            lock.signal()
            return true
        }
    }

    /// Requests that wait for a worker.
    var depth: Int { lock.withLock { waiting.count } }

    /// Processor time of each worker in nanoseconds; nil where unknown.
    var processorTimes: [Int?] { lock.withLock { workers.map { $0.thread?.processorTime } } }

    // MARK: Workers

    private func next(_ worker: Worker) -> InferenceRequest? {
        lock.withLock {
            while waiting.isEmpty && !isStopping { lock.wait() }
            worker.request = isStopping ? nil : waiting.popFirst()
            return worker.request
        }
    }

    private func work(_ worker: Worker) {
        while let request = next(worker) {
            let start = clock.now()
            let outcome = request.hasTimedOut(start) ? .timedOut : request.run(worker.watch)
            let isAbandoned = lock.withLock {
                worker.request = nil
                lost.removeAll { $0 === worker }
                return worker.isAbandoned
            }
            guard !isAbandoned else {
                worker.thread?.detach()
                return
            }
            request.end(outcome, microseconds: (clock.now() - start) / 1_000)
        }
    }

    // MARK: Runs that take too long

    /// Interrupts runs that have lasted longer than `limit` nanoseconds.
    func interruptRuns(olderThan limit: Int) {
        for worker in lock.withLock({ workers }) { worker.watch.interrupt(olderThan: limit) }
    }

    /// Gives up on runs that have lasted longer than `limit` nanoseconds although they were interrupted: engines look at
    /// the interrupt between operators, and an operator may never end. The client gets an error, the model is not run
    /// again, and another thread takes the lost one's place.
    func abandonRuns(olderThan limit: Int) {
        var abandoned: [InferenceRequest] = []
        var orphans: [InferenceRequest] = []
        lock.withLock {
            for worker in workers where worker.watch.isRunning(longerThan: limit) {
                guard let request = worker.request else { continue }
                abandoned.append(request)
                replace(worker)
            }
            if workers.isEmpty { while let request = waiting.popFirst() { orphans.append(request) } }
        }
        for request in abandoned {
            request.artifact?.quarantine()
            request.end(.failed(.runAbandoned), microseconds: 0)
        }
        for request in orphans { request.refuse(.noWorkers(name)) }
    }

    /// Strikes a worker off and starts another, unless too many have been lost. The lock must be held.
    private func replace(_ worker: Worker) {
        worker.isAbandoned = true
        lost.append(worker)
        guard let index = workers.firstIndex(where: { $0 === worker }) else { return }
        if lost.count <= Self.lostLimit, let replacement = startWorker(worker.number) {
            workers[index] = replacement
        } else {
            workers.remove(at: index)
        }
    }

    // MARK: The end

    /// Lets the workers finish what they run, starts nothing more, and joins them. Returns whether all ended in time.
    func stop(withinSeconds seconds: Int) -> Bool {
        let workers = lock.withLock {
            isStopping = true
            lock.broadcast()
            return self.workers + lost
        }
        for worker in workers { worker.watch.close() }
        // Who waits for the server waits for the caller: such a thread ends with the process.
        return workers.allSatisfy { $0.watch.isWaiting || $0.thread?.join(withinSeconds: seconds) ?? true }
    }
}
