internal import Inference
internal import RedisModuleKit

/// `AI._MODELSCAN` and `AI._SCRIPTSCAN` list what is stored with its tags, in ascending order of the keys. A tag is part of
/// the key's value: what the caller may not read is left out.
enum Scan {
    static let modelCommand = Command(
        name: "ai._modelscan", flags: "readonly", keys: .none,
        documentation: CommandDocumentation(
            summary: "Lists all models with their tags.", complexity: "O(N log N) where N is the number of models",
            since: "1.0.0", arguments: []),
        entry: {
            runCommand($0, $1, $2) { context, arguments throws(CommandError) in
                try Scan.run(context, arguments, .model)
            }
        })

    static let scriptCommand = Command(
        name: "ai._scriptscan", flags: "readonly", keys: .none,
        documentation: CommandDocumentation(
            summary: "Lists all scripts with their tags.", complexity: "O(N log N) where N is the number of scripts",
            since: "1.0.0", arguments: []),
        entry: {
            runCommand($0, $1, $2) { context, arguments throws(CommandError) in
                try Scan.run(context, arguments, .script)
            }
        })

    private static func run(
        _ context: CommandContext, _ arguments: Arguments, _ kind: ArtifactIdentity.Kind
    ) throws(CommandError) -> Reply {
        guard arguments.count == 1 else { throw .wrongArity(of: arguments) }
        let permissions = context.permissions
        var entries: [ArtifactDirectory.Entry] = []
        for entry in InferenceEngine.shared.directory.sorted(kind)
        where permissions.allow(.read, to: entry.identity.key) { entries.append(entry) }
        return .encoded(ScanReply(entries: entries))
    }

    private struct ScanReply: ReplyEncodable {
        let entries: [ArtifactDirectory.Entry]

        func encode(into reply: ReplyWriter) {
            reply.array(entries.count)
            for entry in entries {
                reply.array(2)
                reply.bulk(entry.identity.key)
                reply.bulk(entry.identity.tag)
            }
        }
    }
}
