internal import Inference
internal import Persistence
internal import RedisModuleKit

/// `AI.MODELSTORE key backend device [TAG tag] [BATCHSIZE n] [MINBATCHSIZE m] [MINBATCHTIMEOUT t]
/// [INPUTS n name ... OUTPUTS n name ...] BLOB chunk ...` stores a model.
///
/// The model is built in the background; the client is answered when it is ready, and the key changes then. Where a
/// client cannot wait (MULTI, scripts, replication, the append-only file), the key changes at once, holding a model that
/// is still loading.
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
        if context.flags.isDisjoint(with: [.replicated, .loading]) {
            do throws(InferenceError) { try engine.checkCanLoad(definition) } catch { throw CommandError(error) }
        }
        guard context.allowsBlocking else {
            guard context.openForReading(key).accepts(ModelType.valueType) else { throw .wrongType }
            store(engine.makeModel(definition), in: context.openForWriting(key))
            context.replicateVerbatim()
            return .ok
        }
        let operation = PendingModelStore(key: ServerString(holding: key))
        let reply = context.block(on: operation)
        operation.model = engine.makeModel(definition) { operation.complete() }
        return reply
    }

    fileprivate static func store(_ model: Model, in key: borrowing Key) {
        key.store(model, as: ModelType.valueType)
        InferenceEngine.shared.directory.add(model)
    }

    /// An AI.MODELSTORE whose model is being built.
    private final class PendingModelStore: BlockedOperation, @unchecked Sendable {
        private let key: ServerString
        /// Set on the main thread before it reads the answer there.
        var model: Model?

        init(key: ServerString) {
            self.key = key
        }

        // Models that nobody waits for any more must not keep others from being built.
        override var isCancelledByDisconnect: Bool { true }

        override func clientDidLeave() {
            model = nil
        }

        override func finish(_ context: CommandContext) throws(CommandError) -> Reply {
            // The loader thread may hold the operation a moment longer: not the model through it.
            guard let model = model.take() else { throw CommandError("ERR Generic error") }
            if case .broken(let error) = model.phase { throw CommandError(error) }
            try context.checkWritable()
            let key = context.openForWriting(key)
            guard key.accepts(ModelType.valueType) else { throw .wrongType }
            ModelStore.store(model, in: key)
            context.replicateVerbatim()
            // The server frees the command's arguments when this returns.
            for case let chunk as ServerString in model.definition.blob.chunks { chunk.becomeOnlyReference() }
            return .ok
        }
    }
}
