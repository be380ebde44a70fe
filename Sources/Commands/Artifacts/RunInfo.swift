internal import Inference
internal import RedisModuleKit

/// `AI.INFO key [RESETSTAT | STATE]` shows, or resets, what the runs of a model or script have cost; with STATE also whether
/// it can be run, and why not.
enum RunInfo {
    static let command = Command(
        name: "ai.info", flags: "readonly", keys: .first(.read),
        documentation: CommandDocumentation(
            summary: "Returns or resets the run statistics of a model or script.", complexity: "O(1)", since: "1.0.0",
            arguments: [
                DocumentedArgument("key", .key(specification: 0)),
                DocumentedArgument("action", .oneOf([.word("RESETSTAT"), .word("STATE")]), optional: true),
            ]),
        entry: { runCommand($0, $1, $2, RunInfo.run) })

    private static func run(_ context: CommandContext, _ arguments: inout Arguments) throws(CommandError) -> Reply {
        guard (2...3).contains(arguments.count), let key = arguments.next() else { throw .wrongArity(of: arguments) }
        guard let entry = InferenceEngine.shared.directory.entry(for: key.bytes) else { throw .noRunInfo }
        if arguments.consume("RESETSTAT") {
            // The server has only seen that the key may be read.
            try context.permissions.require(.overwrite, to: key.bytes)
            entry.statistics.reset()
            return .ok
        }
        return .encoded(InfoReply(entry: entry, hasState: arguments.consume("STATE")))
    }

    private struct InfoReply: ReplyEncodable {
        let entry: ArtifactDirectory.Entry
        let hasState: Bool

        func encode(into reply: ReplyWriter) {
            let identity = entry.identity
            let statistics = entry.statistics.snapshot
            reply.array(hasState ? 22 : 18)
            reply.label("key")
            reply.bulk(identity.key)
            reply.label("type")
            reply.bulk(identity.kind.rawValue)
            reply.label("backend")
            reply.bulk(identity.backend.name)
            reply.label("device")
            reply.bulk(identity.device.name)
            reply.label("tag")
            reply.bulk(identity.tag)
            reply.label("duration")
            reply.integer(statistics.duration)
            reply.label("samples")
            // Scripts do not say what a sample is.
            reply.integer(identity.kind == .script ? -1 : statistics.samples)
            reply.label("calls")
            reply.integer(statistics.calls)
            reply.label("errors")
            reply.integer(statistics.errors)
            if hasState { encodeState(into: reply) }
        }

        private func encodeState(into reply: ReplyWriter) {
            reply.label("state")
            switch entry.phase {
            case .ready: reply.label("ready")
            case .broken: reply.label("broken")
            case .loading, nil: reply.label("loading")
            }
            reply.label("reason")
            if case .broken(let error) = entry.phase { reply.bulk(error.message) } else { reply.label("") }
        }
    }
}

// MARK: Texts

extension CommandError {
    static let noRunInfo = CommandError("ERR cannot find run info for key")
}
