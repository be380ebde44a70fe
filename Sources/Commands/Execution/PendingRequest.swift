internal import Inference
internal import Persistence
internal import RedisModuleKit
internal import Tensors

/// A command that runs models or scripts: its request is queued or running, and some of its tensors become keys.
final class PendingRequest: BlockedOperation, InferenceRequest.Receiver, @unchecked Sendable {
    /// A slot of the request's plan that becomes a key.
    struct Output {
        let key: ServerString
        let slot: Int
    }

    /// What the client is answered when the request has been carried out.
    enum Answer {
        /// OK, or the error.
        case status
        /// One element for each.
        case elements([GraphReply.Element])
    }

    private var outputs: [Output]
    private var effects: ScriptEffects?
    private var answer: Answer
    /// Whether nobody but the client would notice that it is not carried out.
    private let concernsClientOnly: Bool
    private let hasOutputs: Bool
    private var request: InferenceRequest?

    /// Carries `plan` out, and blocks the client of `context` until that has been done. Takes what the plan holds.
    static func start(
        _ plan: inout RequestPlan, outputs: [Output], answer: Answer, timeout: Int?, effects: ScriptEffects? = nil,
        _ context: CommandContext
    ) throws(CommandError) -> Reply {
        let engine = InferenceEngine.shared
        if let outcome = engine.carryOutInline(&plan) { return try finish(outcome, outputs, answer, context) }
        let operation = PendingRequest(plan, outputs: outputs, answer: answer)
        operation.effects = effects
        let request = InferenceRequest(plan, timeout: timeout, receiver: operation)
        operation.request = request
        plan = RequestPlan(capacity: 0)
        // From here on every outcome, a refusal by the queue included, is the operation's to answer.
        let reply = context.block(on: operation)
        engine.submit(request)
        return reply
    }

    private init(_ plan: RequestPlan, outputs: [Output], answer: Answer) {
        self.outputs = outputs
        self.answer = answer
        hasOutputs = !outputs.isEmpty
        concernsClientOnly = outputs.isEmpty && !plan.hasSideEffects
    }

    func requestDidEnd(_ request: InferenceRequest) {
        complete()
    }

    override var isCancelledByDisconnect: Bool { concernsClientOnly }

    override var changesKeys: Bool { hasOutputs }

    override func clientDidLeave() {
        request?.cancel()
    }

    override func finish(_ context: CommandContext) throws(CommandError) -> Reply {
        // The worker may hold the operation a moment longer: the server's strings are to go here.
        defer {
            outputs = []
            effects = nil
        }
        let answer = answer
        self.answer = .status
        guard let outcome = request.take()?.takeOutcome() else { throw CommandError("ERR Generic error") }
        switch outcome.ending {
        case .completed:
            try checkOwnership(outcome, context)
            return try Self.finish(outcome, outputs, answer, context)
        case .timedOut: return .status("TIMEDOUT")
        case .cancelled: throw CommandError("ERR Generic error")
        }
    }

    /// Refuses to answer when keys are not this node's any more: those to be written, or those that a script has failed to
    /// reach.
    private func checkOwnership(
        _ outcome: InferenceRequest.Outcome, _ context: CommandContext
    ) throws(CommandError) {
        guard outcome.firstError == nil else {
            try effects?.checkOwnershipAfterFailure(context)
            return
        }
        for output in outputs where outcome.tensors[output.slot] != nil {
            do throws(CommandError) {
                try context.checkOwnership(of: output.key, by: "AI.TENSORSET")
            } catch {
                throw effects?.final(error) ?? error
            }
        }
    }

    private static func finish(
        _ outcome: InferenceRequest.Outcome, _ outputs: [Output], _ answer: Answer, _ context: CommandContext
    ) throws(CommandError) -> Reply {
        let error = outcome.firstError
        switch answer {
        case .status:
            if let error { throw CommandError(error) }
            try write(outcome.tensors, to: outputs, context)
            return .ok
        case .elements(let elements):
            var lateError: CommandError?
            if error == nil {
                do throws(CommandError) { try write(outcome.tensors, to: outputs, context) } catch { lateError = error }
            }
            return .encoded(GraphReply(elements, outcome, lateError: lateError))
        }
    }

    /// Stores the outputs in order, and sends each to the replicas as the tensor it is.
    private static func write(
        _ tensors: [Tensor?], to outputs: [Output], _ context: CommandContext
    ) throws(CommandError) {
        if !outputs.isEmpty { try context.checkWritable() }
        for output in outputs {
            guard let tensor = tensors[output.slot] else { continue }
            let key = context.openForWriting(output.key)
            guard key.accepts(TensorType.valueType) else { throw .wrongType }
            key.store(tensor, as: TensorType.valueType)
            context.replicate("AI.TENSORSET", TensorType.commandLine(storing: tensor, at: output.key))
        }
    }
}

extension PendingRequest {
    /// Runs `work` on stored tensors, whose names are `inputs`; what it makes is stored under the names `outputs`.
    static func start(
        _ work: RequestPlan.Work, inputs: some Collection<Argument>, outputs: some Collection<Argument>, timeout: Int?,
        effects: ScriptEffects? = nil, _ context: CommandContext
    ) throws(CommandError) -> Reply {
        var plan = RequestPlan(capacity: inputs.count + outputs.count)
        for name in inputs { _ = plan.add(try context.tensor(at: name)) }
        let slots = plan.add(work, inputs: 0..<inputs.count, outputCount: outputs.count)
        let outputs = zip(outputs, slots).map { Output(key: ServerString(holding: $0), slot: $1) }
        return try start(&plan, outputs: outputs, answer: .status, timeout: timeout, effects: effects, context)
    }
}
