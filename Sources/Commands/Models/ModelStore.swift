internal import Inference
internal import Persistence
internal import RedisModuleKit

/// `AI.MODELSTORE key backend device [TAG tag] [BATCHSIZE n] [MINBATCHSIZE m] [MINBATCHTIMEOUT t]
/// [INPUTS n name ... OUTPUTS n name ...] BLOB chunk ...` stores a model, and so does the deprecated `AI.MODELSET`, whose names
/// have no counts.
///
/// The model is built in the background: see ``ArtifactStore``.
enum ModelStore {
    static let command = Command(
        name: "ai.modelstore", flags: "write deny-oom", keys: .first(.overwrite),
        documentation: CommandDocumentation(
            summary: "Stores a model as the value of a key.",
            complexity: "O(N) where N is the number of bytes of the model, most of it in the background",
            since: "1.2.5",
            arguments: head + [
                DocumentedArgument(
                    "names",
                    .group(
                        DocumentedArgument.counted("INPUTS", "input", .text)
                            + DocumentedArgument.counted("OUTPUTS", "output", .text)), optional: true),
                blob,
            ]),
        entry: {
            runCommand($0, $1, $2) { context, arguments throws(CommandError) in
                try ModelStore.run(context, &arguments, named: "ai.modelstore", leastCount: 6) {
                    clause, arguments, key throws(CommandError) in try clause.parse(&arguments, key: key)
                }
            }
        })

    static let deprecatedCommand = Command(
        name: "ai.modelset", flags: "write deny-oom", keys: .first(.overwrite),
        documentation: CommandDocumentation(
            summary: "Stores a model as the value of a key. Deprecated: use AI.MODELSTORE.",
            complexity: "O(N) where N is the number of bytes of the model, most of it in the background",
            since: "1.0.0",
            arguments: head + [
                DocumentedArgument(
                    "names",
                    .group([
                        DocumentedArgument("input", .text, token: "INPUTS", multiple: true),
                        DocumentedArgument("output", .text, token: "OUTPUTS", multiple: true),
                    ]), optional: true),
                blob,
            ]),
        entry: {
            runCommand($0, $1, $2) { context, arguments throws(CommandError) in
                try ModelStore.run(context, &arguments, named: "ai.modelset", leastCount: 4) {
                    clause, arguments, key throws(CommandError) in try clause.parseDeprecated(&arguments, key: key)
                }
            }
        })

    private static let head = [
        DocumentedArgument("key", .key(specification: 0)),
        .choice("backend", ["TF", "TFLITE", "TORCH", "ONNX"]),
        DocumentedArgument("device", .text),
        DocumentedArgument("tag", .text, token: "TAG", optional: true),
        DocumentedArgument("batch-size", .integer, token: "BATCHSIZE", optional: true),
        DocumentedArgument("min-batch-size", .integer, token: "MINBATCHSIZE", optional: true),
        DocumentedArgument("min-batch-timeout", .integer, token: "MINBATCHTIMEOUT", optional: true),
    ]
    private static let blob = DocumentedArgument("chunk", .text, token: "BLOB", multiple: true)

    private static func run(
        _ context: CommandContext, _ arguments: inout Arguments, named name: String, leastCount: Int,
        parse: (ModelClause, inout Arguments, Argument) throws(CommandError) -> ModelDefinition
    ) throws(CommandError) -> Reply {
        try context.checkUpload(name)
        guard arguments.count >= leastCount, let key = arguments.next() else { throw .wrongArity(of: arguments) }
        let engine = InferenceEngine.shared
        let definition = try parse(ModelClause(engine.registry), &arguments, key)
        let store = ArtifactStore(
            type: ModelType.valueType, command: "AI.MODELSTORE", make: { engine.makeModel(definition, completion: $0) },
            onStored: { model in
                // The server frees the command's arguments when this returns.
                for case let chunk as ServerString in model.definition.blob.chunks { chunk.becomeOnlyReference() }
            })
        return try store.reply(context, key: key, definition.identity)
    }
}
