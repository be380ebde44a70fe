internal import Tensors

/// Runs what costs less than handing it over, in the thread that serves clients.
///
/// Only models qualify whose cost follows from the shapes of their inputs and is known from earlier runs, and only while their
/// queue has nothing to do. All runs of one round of the server's events together have a budget, so that other clients do not
/// wait longer than that. Main thread only.
final class InlineExecution: InferenceRequest.Dispatcher, @unchecked Sendable {
    /// A run that costs more gains nothing: handing it over costs about as much.
    static let runLimit = 50_000

    private let clock: MonotonicClock
    private let watch: RunWatch
    /// Nanoseconds per round; 0 for none.
    private let budget: Int
    private var remaining: Int

    init(clock: MonotonicClock, budget: Int) {
        self.clock = clock
        self.budget = budget
        remaining = budget
        watch = RunWatch(clock: clock)
    }

    /// A round of events has ended.
    func renewBudget() {
        remaining = budget
    }

    /// Whether `plan` is to be run here and now.
    func accepts(_ plan: RequestPlan) -> Bool {
        guard remaining > 0, plan.steps.count == 1, case .model(let model) = plan.steps[0].work,
            model.definition.batching.size == 0, let loaded = model.loaded, loaded.costFollowsFromShapes
        else { return false }
        let inputs = plan.steps[0].inputs.compactMap { plan.tensors[$0] }
        guard let cost = model.costs.estimate(RunCosts.signature(of: inputs)), cost <= min(remaining, Self.runLimit),
            let queue = model.readyQueue
        else { return false }
        return queue.isIdle
    }

    func dispatch(_ step: ReadyStep, from origin: StepOrigin) {
        let costs = step.model?.costs
        let signature = RunCosts.signature(of: step.inputs)
        let start = clock.now()
        let result = Result { () throws(InferenceError) in try step.run(watch) }
        let nanoseconds = clock.now() - start
        remaining -= nanoseconds
        // The thread may have been kept from running: one long run proves nothing, but nobody can afford a second.
        if nanoseconds > 4 * Self.runLimit { costs?.distrust(signature) } else { costs?.record(nanoseconds, signature) }
        step.settle(result, microseconds: nanoseconds / 1_000)
        step.tell(result, on: nil)
    }
}
