internal import BackendSupport
public import Inference

/// LiteRT, the successor of TensorFlow Lite, as an engine.
public final class LiteRTBackend: Backend {
    private let library: LiteRTLibrary
    private let settings: EngineSettings

    /// The engine's row in the registry.
    public static let description = BackendDescription(
        name: "TFLITE", id: 1, defaultPath: "redisai_tflite/redisai_tflite.so", names: .fromModel,
        open: { path, settings throws(InferenceError) in try LiteRTBackend(path: path, settings: settings) })

    /// Opens the library at `path`: LiteRT 2.3 or a later one of the same interface.
    public init(path: String, settings: EngineSettings) throws(InferenceError) {
        library = try LiteRTLibrary(path: path)
        self.settings = settings
    }

    /// The library does not tell its version.
    public var version: String { "NA" }

    public func info(workers: Int) -> [(name: String, value: String)] {
        [("TensorFlowLite_version", version)]
    }

    /// The model as the engine gets it.
    private func prepared(
        _ bytes: LiteRTModelBytes, _ graph: LiteRTGraph
    ) throws(InferenceError) -> LiteRTModelBytes {
        guard !graph.hasFixedOutputs, !graph.copiedTensors.isEmpty else { return bytes }
        let prefix = try bytes.withBytes { bytes throws(InferenceError) in
            try LiteRTOutputCopies.prefix(for: bytes, graph)
        }
        return try LiteRTModelBytes(prefix, before: bytes)
    }

    /// Refuses models that reach for files or vendor libraries unless the settings allow it.
    public func load(_ definition: ModelDefinition) throws(InferenceError) -> any LoadedModel {
        guard definition.device.kind == .cpu else { throw InferenceError("Failed to set GPU delegate") }
        let bytes = LiteRTModelBytes(definition.blob)
        let graph = try bytes.withBytes { bytes throws(InferenceError) in
            try LiteRTModelInspection.check(bytes, allowsUnsafeOperations: settings.allowsUnsafeOperations)
        }
        return try LiteRTModel(library: library, bytes: prepared(bytes, graph), graph: graph)
    }
}
