internal import RedisModuleKit

/// `AI.MODELDEL key` deletes a model.
enum ModelDelete {
    static let command = Command(
        name: "ai.modeldel", flags: "write", keys: .first(.remove),
        documentation: CommandDocumentation(
            summary: "Deletes a model.", complexity: "O(1); memory is given back in the background", since: "1.0.0",
            arguments: [DocumentedArgument("key", .key(specification: 0))]),
        entry: { runCommand($0, $1, $2, ModelDelete.run) })

    private static func run(_ context: CommandContext, _ arguments: inout Arguments) throws(CommandError) -> Reply {
        guard arguments.count == 2, let key = arguments.next() else { throw .wrongArity(of: arguments) }
        _ = try context.model(at: key)
        context.openForWriting(key).delete()
        context.replicateVerbatim()
        return .ok
    }
}
