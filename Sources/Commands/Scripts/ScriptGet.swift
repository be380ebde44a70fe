internal import Inference
internal import RedisModuleKit

/// `AI.SCRIPTGET key [META] [SOURCE]` reads what was stored. Unknown words are ignored.
enum ScriptGet {
    static let command = Command(
        name: "ai.scriptget", flags: "readonly", keys: .first(.read),
        documentation: CommandDocumentation(
            summary: "Returns a script's metadata and its source.",
            complexity: "O(N) where N is the length of the source", since: "1.0.0",
            arguments: [
                DocumentedArgument("key", .key(specification: 0)),
                .word("META", optional: true),
                .word("SOURCE", optional: true),
            ]),
        entry: { runCommand($0, $1, $2, ScriptGet.run) })

    private static func run(_ context: CommandContext, _ arguments: inout Arguments) throws(CommandError) -> Reply {
        guard (2...4).contains(arguments.count), let key = arguments.next() else { throw .wrongArity(of: arguments) }
        let script = try context.script(at: key)
        var wantsMeta = false
        var wantsSource = false
        while let word = arguments.next() {
            wantsMeta = wantsMeta || word.matches("META")
            wantsSource = wantsSource || word.matches("SOURCE")
        }
        let wantsBoth = wantsMeta == wantsSource
        return .encoded(
            ScriptReply(
                definition: script.definition, hasMeta: wantsMeta || wantsBoth, hasSource: wantsSource || wantsBoth))
    }
}

/// A script as AI.SCRIPTGET shows it.
private struct ScriptReply: ReplyEncodable {
    let definition: ScriptDefinition
    let hasMeta: Bool
    let hasSource: Bool

    func encode(into reply: ReplyWriter) {
        if hasMeta {
            reply.array(hasSource ? 8 : 6)
            reply.label("device")
            reply.bulk(definition.identity.device.name)
            reply.label("tag")
            reply.bulk(definition.identity.tag)
            reply.label("Entry Points")
            reply.array(definition.entryPoints.count)
            for name in definition.entryPoints { reply.bulk(name) }
            if hasSource { reply.label("source") }
        }
        if hasSource { reply.bulk(definition.source) }
    }
}
