internal import Tensors

/// One job of a queue in the hands of a worker.
struct BatchRun {
    let clock: MonotonicClock
    let watch: RunWatch
    /// Whether runs are noted in the models' costs; false where the caller does that.
    var recordsCosts = true

    /// How a step ended, and how long the run took that it was part of.
    struct StepEnd {
        let step: ReadyStep
        let result: Result<[Tensor?], InferenceError>
        let microseconds: Int
    }

    /// How the steps of a job ended.
    enum Ends {
        case one(StepEnd)
        case many([StepEnd])

        /// Counts the runs and tells the requests. Whoever is told finds the artifact released, by all members of a batch.
        func tell(on queue: DeviceQueue) {
            switch self {
            case .one(let end):
                end.step.settle(end.result, microseconds: end.microseconds)
                end.step.tell(end.result, on: queue)
            case .many(let ends):
                for end in ends {
                    end.step.settle(end.result, microseconds: end.microseconds)
                    end.step.request.release(end.step.index)
                }
                for end in ends { end.step.tell(end.result, on: queue) }
            }
        }
    }

    func run(_ job: RunQueue.Job) -> Ends {
        switch job {
        case .step(let step): .one(runAlone(step))
        case .batch(let batch):
            if batch.members.count == 1 { .one(runAlone(batch.members[0])) } else { .many(runTogether(batch)) }
        }
    }

    private func runAlone(_ step: ReadyStep) -> StepEnd {
        let start = clock.now()
        let result = Result { () throws(InferenceError) in try step.run(watch) }
        let nanoseconds = clock.now() - start
        if recordsCosts, let model = step.model, model.loaded?.costFollowsFromShapes == true {
            model.costs.record(nanoseconds, RunCosts.signature(of: step.inputs))
        }
        return StepEnd(step: step, result: result, microseconds: nanoseconds / 1_000)
    }

    private func runTogether(_ batch: Batch) -> [StepEnd] {
        let members = batch.members
        guard let model = members[0].model, let outputCount = commonOutputCount(members),
            let inputs = batch.takeInputs()
        else { return members.map(runAlone) }
        let interruptions = watch.interruptionCount
        let start = clock.now()
        let result = Result { () throws(InferenceError) in
            try model.run(inputs, outputCount: outputCount, watch: watch)
        }
        let nanoseconds = clock.now() - start
        let microseconds = nanoseconds / 1_000
        if recordsCosts, model.loaded?.costFollowsFromShapes == true,
            let signature = RunCosts.signature(of: batch.key, rows: batch.rowCount)
        {
            model.batchCosts.record(nanoseconds, signature)
        }
        switch result {
        case .success(let outputs):
            return split(outputs, of: batch, model).map {
                StepEnd(step: $0, result: $1, microseconds: microseconds)
            }
        case .failure(let error):
            // One member's data may be to blame. The others must not suffer: but time that was used up is.
            guard watch.interruptionCount == interruptions else {
                return members.map { StepEnd(step: $0, result: .failure(error), microseconds: microseconds) }
            }
            return members.map(runAlone)
        }
    }

    /// The number of outputs that all members want; nil when they disagree, which a loading model's could.
    private func commonOutputCount(_ members: [ReadyStep]) -> Int? {
        let count = members[0].outputCount
        return members.allSatisfy { $0.outputCount == count } ? count : nil
    }

    /// Gives each member its rows of the outputs. An output without rows, which belongs to the batch as a whole, is absent.
    private func split(
        _ outputs: [Tensor?], of batch: Batch, _ model: Model
    ) -> [(ReadyStep, Result<[Tensor?], InferenceError>)] {
        let hasAllRows = outputs.allSatisfy { output in
            guard let output, output.shape.rank > 0 else { return true }
            return output.shape[0] == batch.rowCount
        }
        guard hasAllRows else {
            return batch.members.map { ($0, .failure(model.definition.backend.batchSizeError)) }
        }
        let counts = batch.members.map(\.rowCount)
        var parts: [[Tensor]?] = []
        parts.reserveCapacity(outputs.count)
        for output in outputs {
            guard let output, output.shape.rank > 0 else {
                parts.append(nil)
                continue
            }
            guard let rows = output.split(rows: counts) else {
                return batch.members.map { ($0, .failure(.noMemoryForOutput)) }
            }
            parts.append(rows)
        }
        return batch.members.enumerated().map { number, member in (member, .success(parts.map { $0?[number] })) }
    }
}
