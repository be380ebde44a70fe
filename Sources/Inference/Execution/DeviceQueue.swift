internal import DequeModule
internal import Tensors

/// The requests for one device, first come first served, and the threads that run them.
///
/// This is where requests for the same model will be gathered into batches.
final class DeviceQueue: @unchecked Sendable {
    let name: String
    private let clock: MonotonicClock
    private let limit: Int

    // Guarded by `lock`.
    private let lock = ConditionLock()
    private var waiting = Deque<InferenceRequest>()
    private var isStopping = false

    // Written by `init` only.
    private var workers: [Worker] = []

    /// Starts the threads; nil when the system has none to give.
    init?(name: String, threads: Int, limit: Int, clock: MonotonicClock) {
        self.name = name
        self.clock = clock
        self.limit = limit
        for number in 1...threads {
            let watch = RunWatch(clock: clock)
            guard
                let thread = WorkerThread(name: "ai-\(name)-\(number)", body: { [unowned self] in work(watch) })
            else {
                _ = stop(withinSeconds: 1)
                return nil
            }
            workers.append(Worker(thread: thread, watch: watch))
        }
    }

    private struct Worker {
        let thread: WorkerThread
        let watch: RunWatch
    }

    /// Puts a request at the end of the queue; false when the queue is full.
    func submit(_ request: InferenceRequest) -> Bool {
        request.markSubmitted(clock.now())
        return lock.withLock {
            guard waiting.count < limit else { return false }
            waiting.append(request)
            lock.signal()
            return true
        }
    }

    /// Requests that wait for a worker.
    var depth: Int { lock.withLock { waiting.count } }

    /// Processor time of each worker in nanoseconds; nil where unknown.
    var processorTimes: [Int?] { workers.map(\.thread.processorTime) }

    /// Interrupts runs that have lasted longer than `limit` nanoseconds.
    func interruptRuns(olderThan limit: Int) {
        for worker in workers { worker.watch.interrupt(olderThan: limit) }
    }

    /// Lets the workers finish what they run, starts nothing more, and joins them. Returns whether all ended in time.
    func stop(withinSeconds seconds: Int) -> Bool {
        lock.withLock {
            isStopping = true
            lock.broadcast()
        }
        for worker in workers { worker.watch.close() }
        return workers.allSatisfy { $0.thread.join(withinSeconds: seconds) }
    }

    private func next() -> InferenceRequest? {
        lock.withLock {
            while waiting.isEmpty && !isStopping { lock.wait() }
            return isStopping ? nil : waiting.popFirst()
        }
    }

    private func work(_ watch: RunWatch) {
        while let request = next() {
            guard !request.hasTimedOut(clock.now()) else {
                request.end(.timedOut)
                continue
            }
            request.end(execute(request, watch))
        }
    }

    private func execute(_ request: InferenceRequest, _ watch: RunWatch) -> InferenceRequest.Outcome {
        guard let model = request.model else { return .pending }
        let start = clock.now()
        do throws(InferenceError) {
            let outputs = try model.run(request.inputs, outputCount: request.outputCount, watch: watch)
            model.statistics.recordSuccess(
                microseconds: (clock.now() - start) / 1_000, samples: outputs.first??.batchSize ?? 0)
            return .outputs(outputs)
        } catch {
            model.statistics.recordFailure()
            return .failed(error)
        }
    }
}
