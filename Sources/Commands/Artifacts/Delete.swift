internal import Inference
internal import Persistence
internal import RedisModuleKit

/// `AI.MODELDEL key` and `AI.SCRIPTDEL key` delete a model or script.
///
/// The key goes at once. Where a client can wait it is answered when the engine has given the memory back, which
/// happens in the background; runs in flight keep what they run, and are not waited for.
enum Delete {
    static let modelCommand = Command(
        name: "ai.modeldel", flags: "write", keys: .first(.remove),
        documentation: CommandDocumentation(
            summary: "Deletes a model.", complexity: "O(1); memory is given back in the background", since: "1.0.0",
            arguments: [DocumentedArgument("key", .key(specification: 0))]),
        entry: {
            runCommand($0, $1, $2) { context, arguments throws(CommandError) in
                try Delete.run(context, &arguments, ModelType.valueType) {
                    key throws(CommandError) in _ = try context.model(at: key)
                }
            }
        })

    static let scriptCommand = Command(
        name: "ai.scriptdel", flags: "write", keys: .first(.remove),
        documentation: CommandDocumentation(
            summary: "Deletes a script.", complexity: "O(1); memory is given back in the background", since: "1.0.0",
            arguments: [DocumentedArgument("key", .key(specification: 0))]),
        entry: {
            runCommand($0, $1, $2) { context, arguments throws(CommandError) in
                try Delete.run(context, &arguments, ScriptType.valueType) {
                    key throws(CommandError) in _ = try context.script(at: key)
                }
            }
        })

    private static func run<Stored>(
        _ context: CommandContext, _ arguments: inout Arguments, _ type: ValueType<Stored>,
        check: (Argument) throws(CommandError) -> Void
    ) throws(CommandError) -> Reply {
        guard arguments.count == 2, let key = arguments.next() else { throw .wrongArity(of: arguments) }
        try check(key)
        context.openForWriting(key).delete(type)
        context.replicateVerbatim()
        guard context.allowsBlocking else { return .ok }
        let operation = PendingReclaim()
        let reply = context.block(on: operation)
        InferenceEngine.shared.whenReclaimed { operation.complete() }
        return reply
    }

    /// A deletion whose memory is being given back.
    private final class PendingReclaim: BlockedOperation, @unchecked Sendable {
        override func finish(_ context: CommandContext) throws(CommandError) -> Reply {
            .ok
        }
    }
}
