internal import CLinux
internal import Tensors

/// Runs what costs less than handing it over, in the thread that serves clients.
///
/// Only models qualify whose cost follows from the shapes of their inputs and is known from earlier runs. A request that is
/// alone is run at once; batches are run at the end of the round of the server's events in which they gathered. All runs of a
/// round together have a budget, so that other clients do not wait longer than that. Workers may be busy meanwhile: a short run
/// need not wait for a long one, and a queue that has come to be longer than workers can cope with gets shorter again. Main
/// thread only.
final class InlineExecution: @unchecked Sendable {
    /// A run that costs more gains nothing: handing it over costs about as much.
    static let runLimit = 50_000

    private let clock: MonotonicClock
    private let runner: BatchRun
    /// Nanoseconds per round; 0 for none.
    private let budget: Int
    private var remaining: Int
    /// How often the thread had been kept from running when that was last looked at.
    private var preemptionCount = 0

    init(clock: MonotonicClock, budget: Int) {
        self.clock = clock
        self.budget = budget
        remaining = budget
        // Nobody could interrupt these runs: the thread that would is the one that runs them.
        runner = BatchRun(clock: clock, watch: RunWatch(clock: clock, isWatched: false), recordsCosts: false)
    }

    /// A round of events has ended.
    func renewBudget() {
        remaining = budget
    }

    private func isAffordable(_ cost: Int?) -> Bool {
        guard let cost else { return false }
        return cost <= min(remaining, Self.runLimit)
    }

    /// Notes what a run of this thread has cost. It may have been kept from running meanwhile; but a run that was merely slow
    /// has surprised us, and nobody can afford a second one.
    private func note(_ nanoseconds: Int, _ costs: RunCosts, _ signature: Int) {
        guard nanoseconds > 4 * Self.runLimit else {
            remaining -= nanoseconds
            return costs.record(nanoseconds, signature)
        }
        let count = linux_thread_preemptions()
        defer { preemptionCount = count }
        if count == preemptionCount {
            remaining -= nanoseconds
            costs.distrust(signature)
        } else {
            remaining -= Self.runLimit
        }
    }

    // MARK: Requests

    /// A run of one model.
    struct Run {
        fileprivate let model: Model
        fileprivate let inputs: [Tensor]
        fileprivate let outputs: Range<Int>
        fileprivate let signature: Int
    }

    /// What `plan` comes down to, if it is to be run here and now.
    func run(of plan: RequestPlan) -> Run? {
        guard remaining > 0, plan.steps.count == 1, case .model(let model) = plan.steps[0].work,
            model.definition.batching.size == 0, model.loaded?.costFollowsFromShapes == true,
            let inputs = plan.inputs(ofStep: 0)
        else { return nil }
        let signature = RunCosts.signature(of: inputs)
        guard isAffordable(model.costs.estimate(signature)), model.readyQueue != nil else { return nil }
        return Run(model: model, inputs: inputs, outputs: plan.steps[0].outputs, signature: signature)
    }

    /// Carries `plan` out; nil, and nothing done, when that is for others to do. No request is made of it: there is nobody to
    /// wait, and nothing to give up.
    func carryOut(_ plan: inout RequestPlan) -> InferenceRequest.Outcome? {
        if plan.steps.isEmpty {
            return InferenceRequest.Outcome(ending: .completed, steps: [], tensors: plan.takeTensors())
        }
        guard let run = run(of: plan) else { return nil }
        let start = clock.now()
        let result = Result { () throws(InferenceError) in
            try run.model.run(run.inputs, outputCount: run.outputs.count, watch: runner.watch)
        }
        let nanoseconds = clock.now() - start
        note(nanoseconds, run.model.costs, run.signature)
        run.model.statistics.record(result, microseconds: nanoseconds / 1_000)
        return plan.takeOutcome(of: result, into: run.outputs)
    }

    // MARK: Batches

    /// Runs batches that have gathered in `queue`, as far as they are cheap.
    func runBatches(in queue: DeviceQueue) {
        while remaining > 0, let batch = queue.takeBatch({ isAffordable($0.costEstimate) }) {
            let costs = batch.model.flatMap { batch.costs(of: $0) }
            let start = clock.now()
            let ends = runner.run(.batch(batch))
            if let costs { note(clock.now() - start, costs.record, costs.signature) }
            ends.tell(on: queue)
        }
    }
}

extension Batch {
    fileprivate var model: Model? { members.first?.model }

    /// Where the costs of such runs are kept; nil when they do not follow from the shapes, or are not kept for so many rows.
    fileprivate func costs(of model: Model) -> (record: RunCosts, signature: Int)? {
        guard model.loaded?.costFollowsFromShapes == true else { return nil }
        if members.count == 1 { return (model.costs, RunCosts.signature(of: members[0].inputs)) }
        return RunCosts.signature(of: key, rows: rowCount).map { (model.batchCosts, $0) }
    }

    /// Nanoseconds that running the batch will probably cost; nil when unknown.
    fileprivate var costEstimate: Int? {
        model.flatMap { costs(of: $0) }.flatMap { $0.record.estimate($0.signature) }
    }
}

extension RequestPlan {
    /// The tensors that a step takes; nil when one is not there, or not yet.
    fileprivate func inputs(ofStep index: Int) -> [Tensor]? {
        var inputs: [Tensor] = []
        inputs.reserveCapacity(steps[index].inputs.count)
        for position in steps[index].inputs {
            guard let tensor = tensors[inputSlots[position]] else { return nil }
            inputs.append(tensor)
        }
        return inputs
    }

    /// What has become of a plan of one step, which has run.
    fileprivate mutating func takeOutcome(
        of result: Result<[Tensor?], InferenceError>, into slots: Range<Int>
    ) -> InferenceRequest.Outcome {
        var tensors = takeTensors()
        switch result {
        case .success(let outputs):
            for (slot, tensor) in zip(slots, outputs) { tensors[slot] = tensor }
            return InferenceRequest.Outcome(ending: .completed, steps: Self.oneSuccess, tensors: tensors)
        case .failure(let error):
            return InferenceRequest.Outcome(ending: .completed, steps: [.failed(error)], tensors: tensors)
        }
    }

    /// Made once: an array costs an allocation.
    private static let oneSuccess: [InferenceRequest.StepOutcome] = [.succeeded]
}
