internal import Synchronization
public import Tensors

/// The carrying out of a plan on behalf of somebody who waits for it.
///
/// Its steps are handed to device queues as their inputs come to exist. When nothing runs any more, and nothing will, the
/// receiver is told, once.
public final class InferenceRequest: Sendable {
    /// Who is told when the request has ended, on whatever thread it did.
    public protocol Receiver: AnyObject, Sendable {
        func requestDidEnd(_ request: InferenceRequest)
    }

    /// Passes a step on to the queue of its device.
    protocol Dispatcher: AnyObject, Sendable {
        func dispatch(_ step: ReadyStep, from origin: StepOrigin)
    }

    /// How a step ended.
    public enum StepOutcome: Sendable {
        case notRun, succeeded
        case failed(InferenceError)
    }

    /// Why a request has ended.
    public enum Ending: Sendable {
        /// All steps have run, or one has failed.
        case completed
        case timedOut
        /// Nobody waits for it any more.
        case cancelled
    }

    private struct State {
        /// Emptied at the end: whoever is told then finds artifacts released.
        var steps: [RequestPlan.Step]
        /// The slots that steps take.
        var inputSlots: [Int]
        var tensors: [Tensor?]
        var outcomes: [StepOutcome]
        var schedule: StepSchedule
        var ending = Ending.completed
        /// When the time runs out; nil before the first step is queued, or without a limit.
        var deadline: Instant?
        /// Set while the request is under way.
        var dispatcher: (any Dispatcher)?
        /// Let go of at the end, for it may hold the request.
        var receiver: (any Receiver)?
    }

    /// Milliseconds that the request may wait in queues; nil for ever.
    public let timeout: Int?
    private let state: Mutex<State>
    private let isGivenUp = Atomic(false)
    private let hasOneStep: Bool

    public init(_ plan: RequestPlan, timeout: Int?, receiver: any Receiver) {
        self.timeout = timeout
        hasOneStep = plan.steps.count == 1
        state = Mutex(
            State(
                steps: plan.steps, inputSlots: plan.inputSlots, tensors: plan.tensors,
                outcomes: Array(repeating: .notRun, count: plan.steps.count), schedule: StepSchedule(plan),
                receiver: receiver))
    }

    /// What a request has led to.
    public struct Outcome: Sendable {
        public let ending: Ending
        public let steps: [StepOutcome]
        /// All slots of the plan; nil where nothing was made, or something without tensor form.
        public private(set) var tensors: [Tensor?]

        init(ending: Ending, steps: [StepOutcome], tensors: [Tensor?]) {
            self.ending = ending
            self.steps = steps
            self.tensors = tensors
        }

        /// Hands the tensors over: they are not there a second time.
        public mutating func takeTensors() -> [Tensor?] {
            var taken: [Tensor?] = []
            swap(&taken, &tensors)
            return taken
        }

        /// The first step's error, in the order of the plan.
        public var firstError: InferenceError? {
            for case .failed(let error) in steps { return error }
            return nil
        }
    }

    /// For the receiver: the tensors are handed over, and not there a second time.
    public func takeOutcome() -> Outcome {
        state.withLock { state in
            defer { (state.tensors, state.outcomes) = ([], []) }
            return Outcome(ending: state.ending, steps: state.outcomes, tensors: state.tensors)
        }
    }

    // MARK: Giving up

    /// Says that nobody waits for the request any more: what has not begun to run is not run. Any thread.
    public func cancel() {
        isGivenUp.store(true, ordering: .relaxed)
        Self.cancellations.add(1, ordering: .releasing)
    }

    private static let cancellations = Atomic(0)
    /// Requests that have been given up so far, by their clients or because a step has failed while others wait: queues look
    /// for them when it has changed.
    static var cancellationCount: Int { cancellations.load(ordering: .acquiring) }

    var isCancelled: Bool { isGivenUp.load(ordering: .relaxed) }

    /// Notes the moment from which the timeout counts: when the request is first put on a queue.
    func markQueued(_ now: Instant) {
        guard let timeout else { return }
        state.withLock { state in
            guard state.deadline == nil else { return }
            // "Longer than t" in whole milliseconds.
            let nanoseconds = now.nanoseconds.clampedAdding(timeout.clampedAdding(1, by: 1), by: 1_000_000)
            state.deadline = Instant(nanoseconds: nanoseconds)
        }
    }

    /// When the request's time runs out; nil for never.
    var deadline: Instant? { timeout == nil ? nil : state.withLock { $0.deadline } }

    /// Why a step that waits is not to be run any more; `.completed` when another step has failed.
    func dropReason(_ now: Instant) -> Ending? {
        if isCancelled { return .cancelled }
        if hasOneStep && timeout == nil { return nil }
        return state.withLock { state in
            if state.schedule.isStopped { return state.ending }
            guard let deadline = state.deadline, now >= deadline else { return nil }
            return .timedOut
        }
    }

    // MARK: Progress

    /// Begins: passes the first steps to `dispatcher`.
    func start(_ dispatcher: any Dispatcher) {
        let (first, others, isOver) = state.withLock { state in
            state.dispatcher = dispatcher
            let ready = state.schedule.start()
            return (
                ready.first.map { step($0, in: state) }, ready.dropFirst().map { step($0, in: state) },
                state.schedule.isOver
            )
        }
        // Most requests have one step: no array is made for it.
        if let first { dispatcher.dispatch(first, from: .client) }
        for step in others { dispatcher.dispatch(step, from: .client) }
        if isOver { end() }
    }

    private func step(_ index: Int, in state: borrowing State) -> ReadyStep {
        ReadyStep(state.steps[index], at: index, of: self, state.tensors, inputSlots: state.inputSlots)
    }

    /// A step has run: passes on those that waited for it, or ends the request.
    func step(_ index: Int, didRun result: Result<[Tensor?], InferenceError>, on queue: DeviceQueue?) {
        advance(from: queue) { state in
            switch result {
            case .success(let tensors):
                for (slot, tensor) in zip(state.steps[index].outputs, tensors) { state.tensors[slot] = tensor }
                state.outcomes[index] = .succeeded
            case .failure(let error):
                state.outcomes[index] = .failed(error)
                state.schedule.stop()
            }
            return index
        }
    }

    /// A step will not be run, nor will any after it.
    func step(_ index: Int, wasDropped reason: Ending) {
        advance(from: nil) { state in
            state.ending = reason
            state.schedule.stop()
            return index
        }
    }

    private func advance(from queue: DeviceQueue?, _ note: (inout State) -> Int) {
        let (ready, isOver, dispatcher) = state.withLock { state in
            let ended = note(&state)
            let ready = state.schedule.end(ended)
            if state.schedule.isStopped, !state.schedule.isOver { Self.cancellations.add(1, ordering: .releasing) }
            return (ready.map { step($0, in: state) }, state.schedule.isOver, state.dispatcher)
        }
        for step in ready { dispatcher?.dispatch(step, from: .step(of: queue)) }
        if isOver { end() }
    }

    /// Lets go of the artifact of a step that has run, before it is told so.
    func release(_ index: Int) {
        // Taken out of the lock: the last reference may go here.
        _ = state.withLock { $0.steps[index].work.take() }
    }

    private func end() {
        let (released, receiver) = state.withLock { state in
            defer {
                state.steps = []
                state.dispatcher = nil
            }
            return (state.steps, state.receiver.take())
        }
        // Outside of the lock: the last reference to an artifact may go here.
        _ = consume released
        receiver?.requestDidEnd(self)
    }
}

/// Where a step comes from.
enum StepOrigin {
    /// A client's command: it may be refused when too much waits.
    case client
    /// A client's command that waited for the artifact to be loaded.
    case loading
    /// An earlier step of its request, which a worker of that queue has run.
    case step(of: DeviceQueue?)

    var isClient: Bool { if case .client = self { true } else { false } }
}
