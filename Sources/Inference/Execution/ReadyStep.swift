internal import Tensors

/// A step of a request whose inputs exist: what device queues hold.
///
/// Owned by one side at a time: by its queue, under the queue's lock, and then by the worker that runs it.
final class ReadyStep: @unchecked Sendable {
    let request: InferenceRequest
    let index: Int
    let outputCount: Int
    /// Nil once the step has ended.
    private(set) var work: RequestPlan.Work?
    private(set) var inputs: [Tensor]
    /// Whether an earlier step made something without tensor form where this one takes a tensor.
    let lacksInput: Bool
    /// Bytes of all inputs.
    let byteCount: Int
    /// Rows for a batch: dimension 0 of the inputs; 0 when they disagree.
    let rowCount: Int
    /// When it was put on its queue.
    var queuedAt = Instant(nanoseconds: 0)

    init(
        _ step: RequestPlan.Step, at index: Int, of request: InferenceRequest, _ tensors: [Tensor?], inputSlots: [Int]
    ) {
        self.request = request
        self.index = index
        work = step.work
        outputCount = step.outputs.count
        var (inputs, byteCount) = ([Tensor](), 0)
        inputs.reserveCapacity(step.inputs.count)
        for index in step.inputs {
            guard let tensor = tensors[inputSlots[index]] else { continue }
            inputs.append(tensor)
            byteCount &+= tensor.byteCount
        }
        lacksInput = inputs.count < step.inputs.count
        self.inputs = inputs
        self.byteCount = byteCount
        rowCount = Self.rowCount(of: inputs)
    }

    var artifact: (any Artifact)? { work?.artifact }

    /// The model, if the step runs one.
    var model: Model? { if case .model(let model) = work { model } else { nil } }

    private static func rowCount(of inputs: [Tensor]) -> Int {
        guard let first = inputs.first, first.shape.rank > 0 else { return 0 }
        let rows = first.shape[0]
        return inputs.allSatisfy { $0.shape.rank > 0 && $0.shape[0] == rows } ? rows : 0
    }

    /// Does the work, in the calling thread.
    func run(_ watch: RunWatch) throws(InferenceError) -> [Tensor?] {
        guard !lacksInput else { throw .inputHasNoTensor }
        return switch work {
        case .model(let model): try model.run(inputs, outputCount: outputCount, watch: watch)
        case .script(let script, let call): try script.run(call, inputs, outputCount: outputCount, watch: watch)
        case nil: []
        }
    }

    /// Counts a run in the statistics of the artifact, unless an input was missing and nothing ran, and lets go of it. To be
    /// followed by ``tell(_:on:)``.
    func settle(_ result: Result<[Tensor?], InferenceError>, microseconds: Int) {
        if !lacksInput { artifact?.statistics.record(result, microseconds: microseconds) }
        release()
    }

    /// Tells the request how its step ended.
    func tell(_ result: Result<[Tensor?], InferenceError>, on queue: DeviceQueue?) {
        request.step(index, didRun: result, on: queue)
    }

    /// Ends a step that is never run.
    func refuse(_ error: InferenceError) {
        release()
        tell(.failure(error), on: nil)
    }

    /// Ends a step that is not run because nobody waits for it any more, or has waited too long.
    func drop(_ reason: InferenceRequest.Ending) {
        release()
        request.step(index, wasDropped: reason)
    }

    private func release() {
        work = nil
        inputs = []
    }
}
