internal import Inference
internal import Persistence
internal import RedisModuleKit

/// `AI.SCRIPTSTORE key device [TAG tag] ENTRY_POINTS n function ... SOURCE text` stores a script, and so does the deprecated
/// `AI.SCRIPTSET key device [TAG tag] SOURCE text`, without entry points.
///
/// The script is compiled in the background: see ``ArtifactStore``.
enum ScriptStore {
    static let command = Command(
        name: "ai.scriptstore", flags: "write deny-oom", keys: .first(.overwrite),
        documentation: CommandDocumentation(
            summary: "Stores a script as the value of a key.",
            complexity: "O(N) where N is the length of the source, most of it in the background", since: "1.2.5",
            arguments: head + DocumentedArgument.counted("ENTRY_POINTS", "entry-point", .text)
                + [DocumentedArgument("source", .text, token: "SOURCE")]),
        entry: {
            runCommand($0, $1, $2) { context, arguments throws(CommandError) in
                try context.checkUpload("ai.scriptstore")
                guard arguments.count >= 8 else { throw .wrongArity(of: arguments) }
                return try ScriptStore.run(context, &arguments, hasEntryPoints: true)
            }
        })

    static let deprecatedCommand = Command(
        name: "ai.scriptset", flags: "write deny-oom", keys: .first(.overwrite),
        documentation: CommandDocumentation(
            summary: "Stores a script without entry points. Deprecated: use AI.SCRIPTSTORE.",
            complexity: "O(N) where N is the length of the source, most of it in the background", since: "1.0.0",
            arguments: head + [DocumentedArgument("source", .text, token: "SOURCE")]),
        entry: {
            runCommand($0, $1, $2) { context, arguments throws(CommandError) in
                try context.checkUpload("ai.scriptset")
                guard arguments.count == 5 || arguments.count == 7 else { throw .wrongArity(of: arguments) }
                return try ScriptStore.run(context, &arguments, hasEntryPoints: false)
            }
        })

    private static let head = [
        DocumentedArgument("key", .key(specification: 0)),
        DocumentedArgument("device", .text),
        DocumentedArgument("tag", .text, token: "TAG", optional: true),
    ]

    private static func run(
        _ context: CommandContext, _ arguments: inout Arguments, hasEntryPoints: Bool
    ) throws(CommandError) -> Reply {
        guard let key = arguments.next() else { throw .wrongArity(of: arguments) }
        let engine = InferenceEngine.shared
        let definition = try parse(&arguments, key, engine.registry, hasEntryPoints: hasEntryPoints)
        let store = ArtifactStore(
            type: ScriptType.valueType, command: "AI.SCRIPTSTORE",
            make: { engine.makeScript(definition, completion: $0) })
        return try store.reply(context, key: key, definition.identity)
    }

    /// Everything after the key. Arguments after the source are ignored.
    private static func parse(
        _ arguments: inout Arguments, _ key: Argument, _ registry: BackendRegistry, hasEntryPoints: Bool
    ) throws(CommandError) -> ScriptDefinition {
        guard let backend = registry.description(named: "TORCH") else { throw .unsupportedBackend }
        let deviceName = arguments.next()?.excerpt ?? ""
        let tag = arguments.consume("TAG") ? arguments.next()?.bytes ?? [] : []
        let entryPoints = hasEntryPoints ? try parseEntryPoints(&arguments) : []
        guard arguments.consume("SOURCE"), let source = arguments.next() else { throw .missingSource }
        guard source.byteCount <= ScriptDefinition.sizeLimit else { throw .sourceTooLong }
        guard let device = Device(deviceName) else { throw .unsupportedDevice }
        return source.withBytes { source in
            ScriptDefinition(
                key: key.bytes, backend: backend, device: device, tag: tag, entryPoints: entryPoints, source: source)
        }
    }

    private static func parseEntryPoints(_ arguments: inout Arguments) throws(CommandError) -> [String] {
        guard arguments.consume("ENTRY_POINTS"), let word = arguments.next() else { throw .missingEntryPoints }
        guard let count = word.integer else { throw .entryPointCountNotNumeric }
        guard let names = arguments.take(count) else { throw .missingEntryPoints }
        return names.map(\.text)
    }
}

// MARK: Texts

extension CommandError {
    static let missingEntryPoints = CommandError("ERR Insufficient arguments, missing script entry points")
    static let entryPointCountNotNumeric = CommandError(
        "ERR Non numeric entry points number provided to AI.SCRIPTSTORE command")
    static let missingSource = CommandError("ERR Insufficient arguments, missing script SOURCE")
    static let sourceTooLong = CommandError(
        "ERR script source exceeds the limit of \(ScriptDefinition.sizeLimit) bytes")
    static let unsupportedDevice = CommandError("ERR unsupported device")
}
