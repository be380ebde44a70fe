internal import Inference
internal import Persistence
internal import RedisModuleKit

/// `AI.MODELSTORE key backend device [TAG tag] [BATCHSIZE n] [MINBATCHSIZE m] [MINBATCHTIMEOUT t]
/// [INPUTS n name ... OUTPUTS n name ...] BLOB chunk ...` stores a model.
///
/// The model is built in the background: see ``ArtifactStore``.
enum ModelStore {
    static let command = Command(
        name: "ai.modelstore", flags: "write deny-oom", keys: .first(.overwrite),
        documentation: CommandDocumentation(
            summary: "Stores a model as the value of a key.",
            complexity: "O(N) where N is the number of bytes of the model, most of it in the background",
            since: "1.2.5",
            arguments: [
                DocumentedArgument("key", .key(specification: 0)),
                .choice("backend", ["TF", "TFLITE", "TORCH", "ONNX"]),
                DocumentedArgument("device", .text),
                DocumentedArgument("tag", .text, token: "TAG", optional: true),
                DocumentedArgument("batch-size", .integer, token: "BATCHSIZE", optional: true),
                DocumentedArgument("min-batch-size", .integer, token: "MINBATCHSIZE", optional: true),
                DocumentedArgument("min-batch-timeout", .integer, token: "MINBATCHTIMEOUT", optional: true),
                DocumentedArgument(
                    "names",
                    .group([
                        DocumentedArgument("input-count", .integer, token: "INPUTS"),
                        DocumentedArgument("input", .text, multiple: true),
                        DocumentedArgument("output-count", .integer, token: "OUTPUTS"),
                        DocumentedArgument("output", .text, multiple: true),
                    ]), optional: true),
                DocumentedArgument("chunk", .text, token: "BLOB", multiple: true),
            ]),
        entry: { runCommand($0, $1, $2, ModelStore.run) })

    private static func run(_ context: CommandContext, _ arguments: inout Arguments) throws(CommandError) -> Reply {
        guard arguments.count >= 6, let key = arguments.next() else { throw .wrongArity(of: arguments) }
        let engine = InferenceEngine.shared
        let definition = try ModelClause(engine.registry).parse(&arguments, key: key)
        let store = ArtifactStore(
            type: ModelType.valueType, make: { engine.makeModel(definition, completion: $0) },
            onStored: { model in
                // The server frees the command's arguments when this returns.
                for case let chunk as ServerString in model.definition.blob.chunks { chunk.becomeOnlyReference() }
            })
        return try store.reply(context, key: key, definition.identity)
    }
}
