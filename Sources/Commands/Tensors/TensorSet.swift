internal import Persistence
internal import RedisModuleKit
internal import Tensors

/// `AI.TENSORSET key dtype [dim ...] [BLOB data | VALUES val ...]` stores a tensor.
enum TensorSet {
    static let command = Command(
        name: "ai.tensorset", flags: "write deny-oom", keys: .first(.overwrite),
        documentation: CommandDocumentation(
            summary: "Stores a tensor as the value of a key.",
            complexity: "O(N) where N is the number of bytes of the tensor", since: "1.0.0",
            arguments: [
                DocumentedArgument("key", .key(specification: 0)),
                .choice("dtype", DataType.allCases.map { "\($0.name)" }),
                DocumentedArgument("dim", .integer, optional: true, multiple: true),
                DocumentedArgument(
                    "data",
                    .oneOf([
                        DocumentedArgument("blob", .text, token: "BLOB"),
                        DocumentedArgument("value", .text, token: "VALUES", multiple: true),
                    ]), optional: true),
            ]),
        entry: { runCommand($0, $1, $2, TensorSet.run) })

    private static func run(_ context: CommandContext, _ arguments: inout Arguments) throws(CommandError) -> Reply {
        guard arguments.count >= 4, let key = arguments.next() else { throw .wrongArity(of: arguments) }
        guard context.openForReading(key).accepts(TensorType.valueType) else { throw .wrongType }
        let isCopy = !context.flags.isDisjoint(with: [.replicated, .loading])
        let tensor = try TensorClause.parse(&arguments, isCopy: isCopy)
        context.openForWriting(key).store(tensor, as: TensorType.valueType)
        context.replicateVerbatim()
        return .ok
    }
}
