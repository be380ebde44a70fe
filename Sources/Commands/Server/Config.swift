internal import Inference
internal import Persistence
internal import RedisModuleKit
internal import Synchronization

/// `AI.CONFIG` reads and changes the module's settings at run time. Extra arguments at the end are ignored.
enum Config {
    static let command = Command(
        name: "ai.config", flags: "write", keys: .none,
        documentation: CommandDocumentation(
            summary: "Reads or changes the module's settings, or loads an engine.", complexity: "O(1)", since: "1.0.0",
            arguments: [
                DocumentedArgument(
                    "setting",
                    .oneOf([
                        DocumentedArgument(
                            "load-backend",
                            .group([
                                .word("LOADBACKEND"),
                                .choice("backend", ["TF", "TFLITE", "TORCH", "ONNX"]),
                                DocumentedArgument("path", .text),
                            ])),
                        DocumentedArgument("backends-path", .text, token: "BACKENDSPATH"),
                        DocumentedArgument("model-chunk-size", .integer, token: "MODEL_CHUNK_SIZE"),
                        DocumentedArgument(
                            "onnx-map-outputs",
                            .group([.word("ONNX_MAP_OUTPUTS"), .choice("form", ["TENSOR", "SKIP"])])),
                        DocumentedArgument("get", .text, token: "GET"),
                    ]))
            ]),
        entry: { runCommand($0, $1, $2, Config.run) })

    private static func run(_ context: CommandContext, _ arguments: inout Arguments) throws(CommandError) -> Reply {
        guard arguments.count >= 2 else { throw .wrongArity(of: arguments) }
        if arguments.consume("LOADBACKEND") { return try loadBackend(context, &arguments) }
        if arguments.consume("BACKENDSPATH") {
            guard let path = arguments.next() else { throw .missingBackendsPath }
            try context.checkBackendChange()
            InferenceEngine.shared.currentBackendsPath = path.text
            return .ok
        }
        if arguments.consume("MODEL_CHUNK_SIZE") {
            guard let size = arguments.next() else { throw .missingChunkSize }
            guard let size = size.integer, modelChunkSize.set(size) else { throw .invalidChunkSize }
            return .ok
        }
        if arguments.consume("ONNX_MAP_OUTPUTS") {
            guard let word = arguments.next(), Options.setMapOutputs(word) else { throw .invalidMapOutputs }
            return .ok
        }
        if arguments.consume("GET") { return try get(&arguments) }
        throw .unsupportedSubcommand
    }

    private static func get(_ arguments: inout Arguments) throws(CommandError) -> Reply {
        guard let name = arguments.next() else { throw .wrongArity(of: arguments) }
        if name.matches("BACKENDSPATH") { return .bulk(InferenceEngine.shared.currentBackendsPath) }
        if name.matches("MODEL_CHUNK_SIZE") { return .integer(modelChunkSize.value) }
        if name.matches("ONNX_MAP_OUTPUTS") {
            return .bulk(Options.convertsMaps.load(ordering: .relaxed) ? "TENSOR" : "SKIP")
        }
        return .null
    }

    private static func loadBackend(
        _ context: CommandContext, _ arguments: inout Arguments
    ) throws(CommandError) -> Reply {
        guard arguments.count >= 4, let name = arguments.next(), let path = arguments.next()?.text else {
            throw .wrongArity(of: arguments)
        }
        try context.checkBackendChange()
        let engine = InferenceEngine.shared
        guard let backend = engine.registry.description(named: name.excerpt) else { throw .unsupportedBackend }
        guard context.allowsBlocking else {
            // Nobody could be told the result later.
            guard engine.loadBackend(backend, untrustedPath: path) else { throw .errorLoadingBackend }
            return .ok
        }
        let operation = PendingBackendLoad()
        let reply = context.block(on: operation)
        engine.loadBackend(backend, untrustedPath: path) { isLoaded in
            operation.isLoaded = isLoaded
            operation.complete()
        }
        return reply
    }

    /// An AI.CONFIG LOADBACKEND whose library is being opened.
    private final class PendingBackendLoad: BlockedOperation, @unchecked Sendable {
        var isLoaded = false

        override func finish(_ context: CommandContext) throws(CommandError) -> Reply {
            guard isLoaded else { throw .errorLoadingBackend }
            return .ok
        }
    }
}

// MARK: Texts

extension CommandError {
    static let unsupportedSubcommand = CommandError("ERR unsupported subcommand")
    static let errorLoadingBackend = CommandError("ERR error loading backend")
    static let missingBackendsPath = CommandError("ERR BACKENDSPATH: missing path argument")
    static let missingChunkSize = CommandError("ERR MODEL_CHUNK_SIZE: missing chunk size")
    static let invalidChunkSize = CommandError("ERR MODEL_CHUNK_SIZE: invalid chunk size")
    static let invalidMapOutputs = CommandError("ERR ONNX_MAP_OUTPUTS: expected TENSOR or SKIP")
}
