internal import Inference
internal import RedisModuleKit

/// What a DAG command answers: one element per operation.
struct GraphReply: ReplyEncodable, Sendable {
    /// An operation, as far as its answer goes.
    enum Element: Sendable {
        /// AI.TENSORSET: its tensor was read when the command came.
        case tensorSet
        /// AI.TENSORGET of a slot of the plan.
        case tensorGet(slot: Int, TensorReply.Form)
        /// A step of the plan.
        case step(Int)
    }

    fileprivate var elements: [Element]
    fileprivate var outcome: InferenceRequest.Outcome
    private let lateError: CommandError?

    /// - Parameter lateError: why results could not be stored: an element of its own at the end.
    init(_ elements: [Element], _ outcome: InferenceRequest.Outcome, lateError: CommandError? = nil) {
        self.elements = elements
        self.outcome = outcome
        self.lateError = lateError
    }

    /// What writing takes, in bytes that are copied in the same time.
    var cost: Int {
        var cost = 0
        for case .tensorGet(let slot, let form) in elements {
            guard let tensor = outcome.tensors[slot] else { continue }
            let (sum, isTooLarge) = cost.addingReportingOverflow(TensorReply(tensor, form).cost)
            cost = isTooLarge ? .max : sum
        }
        return cost
    }

    /// Whether others would wait for long while the main thread writes it.
    var isLarge: Bool { cost >= CommandContext.largeReplySize }

    func encode(into reply: ReplyWriter) {
        reply.array(elements.count + (lateError == nil ? 0 : 1))
        encodeElements(into: reply)
        if let lateError { reply.error(lateError) }
    }

    private func encodeElements(into reply: ReplyWriter) {
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
    }

    // MARK: In two parts

    /// The elements by themselves.
    var body: Body { Body(reply: self) }

    struct Body: ReplyEncodable, Sendable {
        fileprivate let reply: GraphReply

        func encode(into writer: ReplyWriter) { reply.encodeElements(into: writer) }
    }

    /// What stands before `count` elements.
    struct Header: ReplyEncodable {
        let count: Int

        func encode(into writer: ReplyWriter) { writer.array(count) }
    }
}

/// A DAG's answer whose memory serves the next command. To be written once, by the main thread.
final class RecycledGraphReply: ReplyEncodable {
    private var reply: GraphReply

    init(_ reply: GraphReply) {
        self.reply = reply
    }

    func encode(into writer: ReplyWriter) {
        reply.encode(into: writer)
        var tensors = reply.outcome.takeTensors()
        GraphMemory.giveBack(&reply.elements, &tensors)
    }
}
