internal import Inference
internal import RedisModuleKit

/// What a DAG command answers: one element per operation. To be written once.
final class GraphReply: ReplyEncodable {
    /// An operation, as far as its answer goes.
    enum Element {
        /// AI.TENSORSET: its tensor was read when the command came.
        case tensorSet
        /// AI.TENSORGET of a slot of the plan.
        case tensorGet(slot: Int, TensorReply.Form)
        /// A step of the plan.
        case step(Int)
    }

    private var elements: [Element]
    private var outcome: InferenceRequest.Outcome
    private let lateError: CommandError?

    /// - Parameter lateError: why results could not be stored: an element of its own at the end.
    init(_ elements: [Element], _ outcome: InferenceRequest.Outcome, lateError: CommandError?) {
        self.elements = elements
        self.outcome = outcome
        self.lateError = lateError
    }

    func encode(into reply: ReplyWriter) {
        reply.array(elements.count + (lateError == nil ? 0 : 1))
        for element in elements {
            switch element {
            case .tensorSet: reply.status("OK")
            case .tensorGet(let slot, let form):
                if let tensor = outcome.tensors[slot] {
                    TensorReply(tensor, form).encode(into: reply)
                } else {
                    reply.status("NA")
                }
            case .step(let index):
                switch outcome.steps[index] {
                case .succeeded: reply.status("OK")
                case .failed(let error): reply.error(CommandError(error))
                case .notRun: reply.status("NA")
                }
            }
        }
        if let lateError { reply.error(lateError) }
        var tensors = outcome.takeTensors()
        GraphMemory.giveBack(&elements, &tensors)
    }
}
