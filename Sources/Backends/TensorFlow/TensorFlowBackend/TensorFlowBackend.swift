internal import CTensorFlow
public import Inference

/// TensorFlow as an engine.
public final class TensorFlowBackend: Backend {
    private let library: TensorFlowLibrary
    private let settings: EngineSettings

    /// The engine's row in the registry. A SavedModel has names for its inputs and outputs; a frozen graph has none.
    public static let description = BackendDescription(
        name: "TF", id: 0, defaultPath: "redisai_tensorflow/redisai_tensorflow.so",
        names: .fromClient(unless: { start in ArchiveFormat(start) != nil }),
        batchSizeError: InferenceError(
            "ERR Tensorflow batching error: model did not generate the expected batch size"),
        open: { path, settings throws(InferenceError) in try TensorFlowBackend(path: path, settings: settings) })

    /// Opens the library at `path`: a build of TensorFlow 2 that exports the C interface.
    public init(path: String, settings: EngineSettings) throws(InferenceError) {
        library = try TensorFlowLibrary(path: path)
        self.settings = settings
        // The first session makes the threads that all sessions share, and they inherit the priority of its thread: this
        // one, not one that loads models.
        _ = try TFSessionConfig(settings, .cpu).makeSession(TFGraph(library), TFEndpoints())
    }

    public var version: String { library.version }

    public func info(workers: Int) -> [(name: String, value: String)] {
        [("TensorFlow_version", version)]
    }

    public func load(_ definition: ModelDefinition) throws(InferenceError) -> any LoadedModel {
        let config = TFSessionConfig(settings, definition.device.kind)
        if definition.device.kind == .gpu { try TFDevices.checkGPU(library, config, definition.device) }
        return try definition.blob.withContiguousBytes { bytes throws(InferenceError) in
            if ArchiveFormat(bytes) != nil {
                return try TFSavedModelLoader(library, settings, config).load(definition)
            }
            return try TFFrozenGraphLoader(library, settings, config).load(definition, bytes)
        }
    }
}
