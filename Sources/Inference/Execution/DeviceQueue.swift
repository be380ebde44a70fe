/// The steps for one device, in the order in which they are run, and the threads that run them.
public final class DeviceQueue: @unchecked Sendable {
    /// Threads that may be lost to runs that do not end.
    static let lostLimit = 16

    /// What may wait at a time.
    struct Limits: Sendable {
        var requests = 16_384
        /// Of inputs. A queue that is empty takes any request.
        var bytes = Int.max
    }

    /// What has happened so far.
    public struct Counters: Sendable, Equatable {
        /// Requests that found the queue full.
        public internal(set) var refused = 0
        /// Requests whose time ran out while they waited.
        public internal(set) var timedOut = 0
        /// Requests that were not run because their clients had left.
        public internal(set) var cancelled = 0
        /// Runs that served several requests.
        public internal(set) var batches = 0
        /// Requests that were served by those.
        public internal(set) var batchedRequests = 0
    }

    let name: String
    private let clock: MonotonicClock
    private let limits: Limits

    // Guarded by `lock`.
    private let lock = ConditionLock()
    private var waiting = RunQueue()
    private var counts = Counters()
    private var workers: [Worker] = []
    /// Those in runs that have been given up.
    private var lost: [Worker] = []
    private var idleCount = 0
    /// ``InferenceRequest/cancellationCount`` when the queue was last gone through.
    private var seenCancellations = 0
    private var isStopping = false

    /// Starts the threads; nil when the system has none to give.
    init?(name: String, threads: Int, limits: Limits, clock: MonotonicClock) {
        self.name = name
        self.clock = clock
        self.limits = limits
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
        var job: RunQueue.Job?
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

    /// Puts a step on the queue.
    ///
    /// - Parameters:
    ///   - origin: a client's step goes to the end, and is refused when too much waits; a step that follows one of this queue
    ///     goes to the front.
    ///   - wakesWorkers: false when ``wakeWorkers()`` will be called soon, for many steps at once.
    func submit(_ step: ReadyStep, from origin: StepOrigin, wakesWorkers: Bool = true) throws(InferenceError) {
        let now = clock.now()
        let refusal: InferenceError? = lock.withLock {
            if let refusal = self.refusal(of: step, from: origin) { return refusal }
            step.queuedAt = now
            step.request.markQueued(now)
            if waiting.add(step, inFront: origin.continues(self)), wakesWorkers, idleCount > 0 { lock.signal() }
            // It may have been given up on the way here, and counted before there was anything to find.
            if step.request.dropReason(now) != nil { seenCancellations = -1 }
            return nil
        }
        if let refusal { throw refusal }
    }

    /// Why a step is not taken. The lock must be held.
    private func refusal(of step: ReadyStep, from origin: StepOrigin) -> InferenceError? {
        guard !workers.isEmpty, !isStopping else { return .noWorkers(name) }
        if case .step = origin { return nil }
        if waiting.stepCount >= limits.requests {
            counts.refused += 1
            return .queueIsFull(name, requestLimit: limits.requests)
        }
        if waiting.stepCount > 0, step.byteCount > limits.bytes - min(limits.bytes, waiting.byteCount) {
            counts.refused += 1
            return .queueIsFull(name, byteLimit: limits.bytes)
        }
        return nil
    }

    /// Wakes as many workers as there is work for.
    func wakeWorkers() {
        lock.withLock {
            for _ in 0..<min(idleCount, max(waiting.jobCount, waiting.isEmpty ? 0 : 1)) { lock.signal() }
        }
    }

    /// Steps that wait for a worker, and the bytes of their inputs.
    var depth: (steps: Int, bytes: Int) { lock.withLock { (waiting.stepCount, waiting.byteCount) } }

    /// Workers that sleep.
    var idleWorkerCount: Int { lock.withLock { idleCount } }

    var counters: Counters { lock.withLock { counts } }

    /// Processor time of each worker in nanoseconds; nil where unknown.
    var processorTimes: [Int?] { lock.withLock { workers.map { $0.thread?.processorTime } } }

    // MARK: Workers

    /// Sleeps until there is something to run; nil when the worker is to end.
    private func next(_ worker: Worker) -> RunQueue.Job? {
        while true {
            let (job, dropped) = lock.withLock { awaitJob(worker) }
            for (step, reason) in dropped { step.drop(reason) }
            if let job { return job }
            if dropped.isEmpty { return nil }
        }
    }

    /// The next job, or steps that were dropped on the way to it, or neither when the queue is being stopped. The lock must
    /// be held; it is released while sleeping.
    private func awaitJob(_ worker: Worker) -> (RunQueue.Job?, [(step: ReadyStep, reason: InferenceRequest.Ending)]) {
        while !isStopping {
            let now = clock.now()
            let job = waiting.next(now)
            worker.job = job
            if job != nil { passOn() }
            if case .batch(let batch) = job { count(batch) }
            let dropped = takeDropped()
            if job != nil || !dropped.isEmpty { return (job, dropped) }
            sleep(until: waiting.deadline, now)
        }
        return (nil, [])
    }

    private func count(_ batch: Batch) {
        guard batch.members.count > 1 else { return }
        counts.batches += 1
        counts.batchedRequests += batch.members.count
    }

    /// The next job, for a caller that runs it itself: if it is a batch that `isWanted`.
    func takeBatch(_ isWanted: (Batch) -> Bool) -> Batch? {
        let (taken, dropped) = lock.withLock { () -> (Batch?, [(step: ReadyStep, reason: InferenceRequest.Ending)]) in
            guard !isStopping, let batch = waiting.takeBatch(clock.now(), where: isWanted) else {
                return (nil, takeDropped())
            }
            count(batch)
            return (batch, takeDropped())
        }
        for (step, reason) in dropped { step.drop(reason) }
        return taken
    }

    /// Wakes another worker when the one that leaves may have been the only one to know of further work: batches come to
    /// be due several at a time, and somebody has to watch those that are not. The lock must be held.
    private func passOn() {
        if !waiting.isEmpty, idleCount > 0 { lock.signal() }
    }

    private func sleep(until deadline: Instant?, _ now: Instant) {
        idleCount += 1
        if let deadline { lock.wait(nanoseconds: deadline - now) } else { lock.wait() }
        idleCount -= 1
    }

    /// The lock must be held; the steps are to be ended without it.
    private func takeDropped() -> [(step: ReadyStep, reason: InferenceRequest.Ending)] {
        let dropped = waiting.takeDropped()
        for (_, reason) in dropped {
            switch reason {
            case .timedOut: counts.timedOut += 1
            case .cancelled: counts.cancelled += 1
            case .completed: break
            }
        }
        return dropped
    }

    private func work(_ worker: Worker) {
        let runner = BatchRun(clock: clock, watch: worker.watch)
        while let job = next(worker) {
            let ends = runner.run(job)
            let isAbandoned = lock.withLock {
                worker.job = nil
                lost.removeAll { $0 === worker }
                return worker.isAbandoned
            }
            guard !isAbandoned else {
                worker.thread?.detach()
                return
            }
            ends.tell(on: self)
        }
    }

    // MARK: Steps for which nobody waits any more

    /// Ends steps whose time has run out, or whose clients have left, although no worker has come to them.
    func sweep() {
        let cancellations = InferenceRequest.cancellationCount
        let dropped = lock.withLock {
            let now = clock.now()
            // Going through a long queue takes a while: not for nothing.
            guard !waiting.isEmpty, waiting.mayHaveExpired(now) || cancellations != seenCancellations else {
                return [(step: ReadyStep, reason: InferenceRequest.Ending)]()
            }
            seenCancellations = cancellations
            if waiting.sweep(now), idleCount > 0 { lock.signal() }
            return takeDropped()
        }
        for (step, reason) in dropped { step.drop(reason) }
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
        var abandoned: [ReadyStep] = []
        var orphans: [ReadyStep] = []
        lock.withLock {
            for worker in workers where worker.watch.isRunning(longerThan: limit) {
                guard let job = worker.job else { continue }
                abandoned += job.steps
                replace(worker)
            }
            if workers.isEmpty { orphans = waiting.takeAll() }
        }
        for step in abandoned { step.artifact?.quarantine() }
        // The worker still uses its steps: they are not released here.
        for step in abandoned {
            step.artifact?.statistics.recordFailure()
            step.tell(.failure(.runAbandoned), on: nil)
        }
        for step in orphans { step.refuse(.noWorkers(name)) }
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

    /// Lets the workers finish what they run, starts nothing more, and joins them. What waits is let go without an answer.
    /// Returns whether all ended in time.
    func stop(withinSeconds seconds: Int) -> Bool {
        let workers = lock.withLock {
            isStopping = true
            lock.broadcast()
            return self.workers + lost
        }
        for worker in workers { worker.watch.close() }
        // Steps lead to their models, and these to the queue. They go when the lock is free again.
        _ = lock.withLock { waiting.takeAll() }
        // Who waits for the server waits for the caller: such a thread ends with the process.
        return workers.allSatisfy { $0.watch.isWaiting || $0.thread?.join(withinSeconds: seconds) ?? true }
    }
}

extension StepOrigin {
    /// Whether the step follows one that a worker of `queue` has run.
    fileprivate func continues(_ queue: DeviceQueue) -> Bool {
        if case .step(let other) = self { other === queue } else { false }
    }
}
