internal import Inference
internal import RedisModuleKit

/// `AI._MODELSCAN` lists the models with their tags, in ascending order of their keys.
enum ModelScan {
    static let command = Command(
        name: "ai._modelscan", flags: "readonly", keys: .none,
        documentation: CommandDocumentation(
            summary: "Lists all models with their tags.", complexity: "O(N log N) where N is the number of models",
            since: "1.0.0", arguments: []),
        entry: { runCommand($0, $1, $2, ModelScan.run) })

    private static func run(_ context: CommandContext, _ arguments: inout Arguments) throws(CommandError) -> Reply {
        guard arguments.count == 1 else { throw .wrongArity(of: arguments) }
        return .encoded(ScanReply(entries: InferenceEngine.shared.directory.sorted))
    }

    private struct ScanReply: ReplyEncodable {
        let entries: [ModelDirectory.Entry]

        func encode(into reply: ReplyWriter) {
            reply.array(entries.count)
            for entry in entries {
                reply.array(2)
                reply.bulk(entry.definition.key)
                reply.bulk(entry.definition.tag)
            }
        }
    }
}
