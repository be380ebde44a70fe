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
    /// What the request has led to, once it has ended.
    private var outcome: InferenceRequest.Outcome?
    /// Whether the answer's elements have been written by another thread.
    private var hasWrittenElements = false

    /// Carries `plan` out, and blocks the client of `context` until that has been done. Takes what the plan holds.
    static func start(
        _ plan: inout RequestPlan, outputs: [Output], answer: Answer, timeout: Int?, effects: ScriptEffects? = nil,
        _ context: CommandContext
    ) throws(CommandError) -> Reply {
        let engine = InferenceEngine.shared
        if let outcome = engine.carryOutInline(&plan) {
            switch answer {
            case .status: return try finish(outcome, outputs, context)
            case .elements(let elements):
                let lateError = finishGraph(outcome, outputs, context)
                let reply = GraphReply(elements, outcome, lateError: lateError)
                return reply.isLarge ? context.replyInBackground(reply) : .encoded(RecycledGraphReply(reply))
            }
        }
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
        let outcome = request.takeOutcome()
        self.outcome = outcome
        guard case .elements(let elements) = answer, outcome.ending == .completed else { return complete() }
        let reply = GraphReply(elements, outcome)
        guard reply.isLarge else { return complete() }
        hasWrittenElements = true
        complete(writing: reply.body)
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
        guard let outcome = outcome.take() else { throw CommandError("ERR Generic error") }
        switch outcome.ending {
        case .completed: return try finish(outcome, answer, context)
        case .timedOut: return .status("TIMEDOUT")
        case .cancelled: throw CommandError("ERR Generic error")
        }
    }

    private func finish(
        _ outcome: InferenceRequest.Outcome, _ answer: Answer, _ context: CommandContext
    ) throws(CommandError) -> Reply {
        switch answer {
        case .status:
            try checkOwnership(outcome, context)
            return try Self.finish(outcome, outputs, context)
        case .elements(let elements) where hasWrittenElements:
            var lateError: CommandError?
            do throws(CommandError) { try checkOwnership(outcome, context) } catch { lateError = error }
            lateError = lateError ?? Self.finishGraph(outcome, outputs, context)
            if let lateError { context.appendToWrittenReply(lateError) }
            return .encoded(GraphReply.Header(count: elements.count + (lateError == nil ? 0 : 1)))
        case .elements(let elements):
            try checkOwnership(outcome, context)
            let lateError = Self.finishGraph(outcome, outputs, context)
            return .encoded(RecycledGraphReply(GraphReply(elements, outcome, lateError: lateError)))
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

    /// For one model or script: OK, or the error.
    private static func finish(
        _ outcome: InferenceRequest.Outcome, _ outputs: [Output], _ context: CommandContext
    ) throws(CommandError) -> Reply {
        if let error = outcome.firstError { throw CommandError(error) }
        try write(outcome.tensors, to: outputs, context)
        return .ok
    }

    /// For a DAG, whose errors stand in its answer: returns why outputs could not be stored.
    private static func finishGraph(
        _ outcome: InferenceRequest.Outcome, _ outputs: [Output], _ context: CommandContext
    ) -> CommandError? {
        guard outcome.firstError == nil else { return nil }
        do throws(CommandError) {
            try write(outcome.tensors, to: outputs, context)
            return nil
        } catch {
            return error
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
