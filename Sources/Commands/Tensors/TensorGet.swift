internal import RedisModuleKit
internal import Tensors

/// `AI.TENSORGET key [META] [BLOB | VALUES]` reads a tensor.
enum TensorGet {
    static let command = Command(
        name: "ai.tensorget", flags: "readonly", keys: .first(.read),
        documentation: CommandDocumentation(
            summary: "Returns a tensor's data type, shape and data.",
            complexity: "O(N) where N is the number of bytes of the tensor", since: "1.0.0",
            arguments: [
                DocumentedArgument("key", .key(specification: 0)),
                .word("META", optional: true),
                .choice("format", ["BLOB", "VALUES"], optional: true),
            ]),
        entry: { runCommand($0, $1, $2, TensorGet.run) })

    private static func run(_ context: CommandContext, _ arguments: inout Arguments) throws(CommandError) -> Reply {
        guard (2...4).contains(arguments.count), let key = arguments.next() else { throw .wrongArity(of: arguments) }
        let tensor = try context.tensor(at: key)
        let reply = TensorReply(tensor, try TensorReply.Form(parsing: &arguments))
        return context.reply(reply, byteCount: reply.cost)
    }
}

/// A tensor as AI.TENSORGET shows it.
struct TensorReply: ReplyEncodable, Sendable {
    /// Which parts of a tensor are shown.
    struct Form: Sendable {
        enum Data: Sendable { case none, blob, values }
        var hasMeta = false
        var data = Data.none

        /// Reads `[META] [BLOB | VALUES]` in any order, to the end of the arguments.
        init(parsing arguments: inout Arguments) throws(CommandError) {
            var hasBlob = false
            var hasValues = false
            while arguments.remaining > 0 {
                if arguments.consume("META") {
                    hasMeta = true
                } else if arguments.consume("BLOB") {
                    hasBlob = true
                } else if arguments.consume("VALUES") {
                    hasValues = true
                } else {
                    throw .unsupportedDataFormat
                }
            }
            guard !(hasBlob && hasValues) else { throw .blobAndValues }
            let isBare = !hasMeta && !hasBlob && !hasValues
            hasMeta = hasMeta || isBare
            data = hasValues ? .values : hasBlob || isBare ? .blob : .none
        }
    }

    private let tensor: Tensor
    private let form: Form

    init(_ tensor: Tensor, _ form: Form) {
        self.tensor = tensor
        self.form = form
    }

    /// What writing takes, in bytes that are copied in the same time.
    var cost: Int {
        switch form.data {
        case .none: 0
        case .blob: tensor.byteCount
        case .values: max(tensor.byteCount, min(tensor.elementCount, .max / Self.valueCost) * Self.valueCost)
        }
    }

    /// A number as text takes as long as so many bytes.
    private static let valueCost = 256

    func encode(into reply: ReplyWriter) {
        if form.hasMeta { encodeMeta(into: reply) }
        switch form.data {
        case .none: break
        case .blob:
            if form.hasMeta { reply.label("blob") }
            tensor.withBytes { reply.bulk($0) }
        case .values:
            if form.hasMeta { reply.label("values") }
            encodeValues(into: reply)
        }
    }

    private func encodeMeta(into reply: ReplyWriter) {
        reply.array(form.data == .none ? 4 : 6)
        reply.label("dtype")
        reply.label(tensor.dataType.name)
        reply.label("shape")
        reply.array(tensor.shape.rank)
        for index in 0..<tensor.shape.rank { reply.integer(tensor.shape[index]) }
    }

    private func encodeValues(into reply: ReplyWriter) {
        reply.array(tensor.elementCount)
        tensor.forEachElement { element in
            switch element {
            case .integer(let value): reply.integer(Int(value))
            case .float(let value): reply.double(value)
            case .string(let bytes): reply.bulk(bytes)
            }
        }
    }
}

// MARK: Texts

extension CommandError {
    static let unsupportedDataFormat = CommandError("ERR unsupported data format")
    static let blobAndValues = CommandError("ERR both BLOB and VALUES specified")

    /// A wrong number of arguments, with the command's name as the client typed it.
    static func wrongArity(of arguments: Arguments) -> CommandError {
        .wrongArity(of: arguments[0]?.excerpt ?? "")
    }
}
