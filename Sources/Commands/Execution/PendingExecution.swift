internal import Inference
internal import Persistence
internal import RedisModuleKit
internal import Tensors

/// A command whose model or script is queued or running, and whose outputs become keys.
final class PendingExecution: BlockedOperation, InferenceRequest.Receiver, @unchecked Sendable {
    private var outputs: [ServerString]
    private var outcome = InferenceRequest.Outcome.pending

    init(outputs: [ServerString]) {
        self.outputs = outputs
    }

    /// Queues `work` and blocks the client of `context` until it has been done.
    static func start(
        _ work: InferenceRequest.Work, inputs: [Tensor], outputs: [ServerString], timeout: Int?,
        _ context: CommandContext
    ) -> Reply {
        let operation = PendingExecution(outputs: outputs)
        let request = InferenceRequest(
            work, inputs: inputs, outputCount: outputs.count, timeout: timeout, receiver: operation)
        // From here on every outcome, a refusal by the queue included, is the operation's to answer.
        let reply = context.block(on: operation)
        InferenceEngine.shared.submit(request)
        return reply
    }

    func requestDidEnd(_ request: InferenceRequest) {
        outcome = request.outcome
        complete()
    }

    override func finish(_ context: CommandContext) throws(CommandError) -> Reply {
        // The worker may hold the operation a moment longer: the server's strings are to go here.
        defer { outputs = [] }
        switch outcome {
        case .outputs(let tensors): try write(tensors, context)
        case .failed(let error): throw CommandError(error)
        case .timedOut: return .status("TIMEDOUT")
        case .pending: throw CommandError("ERR Generic error")
        }
        return .ok
    }

    /// Stores the outputs in order, and sends each to the replicas as the tensor it is.
    private func write(_ tensors: [Tensor?], _ context: CommandContext) throws(CommandError) {
        if !outputs.isEmpty { try context.checkWritable() }
        for (name, tensor) in zip(outputs, tensors) {
            guard let tensor else { continue }
            let key = context.openForWriting(name)
            guard key.accepts(TensorType.valueType) else { throw .wrongType }
            key.store(tensor, as: TensorType.valueType)
            context.replicate("AI.TENSORSET", TensorType.commandLine(storing: tensor, at: name))
        }
    }
}
