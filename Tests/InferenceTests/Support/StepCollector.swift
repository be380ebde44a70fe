import Synchronization
import Tensors
import Testing

@testable import Inference

/// Keeps the steps that requests pass on, for a test to do with them what queues do.
final class StepCollector: InferenceRequest.Dispatcher {
    private let steps = Mutex<[ReadyStep]>([])

    func dispatch(_ step: ReadyStep, from origin: StepOrigin) {
        steps.withLock { $0.append(step) }
    }

    /// The steps that have come since the last call.
    func take() -> [ReadyStep] {
        steps.withLock { steps in
            defer { steps = [] }
            return steps
        }
    }

    /// The one step to begin a request with.
    func begin(_ request: InferenceRequest) throws -> ReadyStep {
        request.start(self)
        let steps = take()
        try #require(steps.count == 1)
        return steps[0]
    }
}

/// A queue without threads, whose steps are known by the numbers in which they were added.
struct NumberedQueue {
    private(set) var queue = RunQueue()
    private(set) var steps: [ReadyStep] = []
    var now = Instant(nanoseconds: 1_000_000_000)
    let inbox = Inbox()
    private let collector = StepCollector()

    func model(_ batching: ModelDefinition.Batching) throws -> Model {
        Model(try .fake(batching: batching), retire: { _ in })
    }

    /// Adds a step. Returns whether there is something new to do.
    @discardableResult
    mutating func add(
        _ model: Model, _ inputs: [Tensor], outputs: Int = 1, timeout: Int? = nil, inFront: Bool = false
    ) throws -> Bool {
        let plan = RequestPlan(.model(model), inputs: inputs, outputCount: outputs)
        return add(try collector.begin(inbox.request(plan, timeout: timeout)), inFront: inFront)
    }

    @discardableResult
    mutating func add(
        _ model: Model, _ shape: Shape = [1], _ dataType: DataType = .float, timeout: Int? = nil, inFront: Bool = false
    ) throws -> Bool {
        try add(model, [Tensor(zeros: dataType, shape)], timeout: timeout, inFront: inFront)
    }

    @discardableResult
    mutating func add(_ step: ReadyStep, inFront: Bool = false) -> Bool {
        steps.append(step)
        step.queuedAt = now
        step.request.markQueued(now)
        return queue.add(step, inFront: inFront)
    }

    private func number(_ step: ReadyStep) -> Int {
        steps.firstIndex { $0 === step } ?? -1
    }

    mutating func advance(milliseconds: Int, nanoseconds: Int = 0) {
        now.nanoseconds += milliseconds * 1_000_000 + nanoseconds
    }

    /// The steps that are run next, together.
    mutating func next() -> [Int]? {
        queue.next(now)?.steps.map(number)
    }

    /// The steps of the batch that stands first, if it is one and has at most so many rows.
    mutating func takeBatch(rowLimit: Int = .max) -> [Int]? {
        queue.takeBatch(now) { $0.rowCount <= rowLimit }?.members.map(number)
    }

    /// What is run next.
    mutating func nextJob() -> RunQueue.Job? {
        queue.next(now)
    }

    mutating func sweep() -> Bool {
        queue.sweep(now)
    }

    /// Steps that have been dropped since the last call, in the order in which they were added.
    mutating func dropped() -> [Dropped] {
        queue.takeDropped().map { Dropped(step: number($0.step), reason: $0.reason) }.sorted { $0.step < $1.step }
    }

    mutating func takeAll() -> [Int] {
        queue.takeAll().map(number)
    }

    struct Dropped: Equatable {
        let step: Int
        let reason: InferenceRequest.Ending
    }
}
