internal import CONNXRuntime
public import Inference

/// ONNX Runtime as an engine.
public final class ONNXRuntimeBackend: Backend {
    private let library: ONNXRuntimeLibrary
    private let settings: EngineSettings

    /// The engine's row in the registry.
    public static let description = BackendDescription(
        name: "ONNX", id: 3, defaultPath: "redisai_onnxruntime/redisai_onnxruntime.so", names: .fromModel,
        open: { path, settings throws(InferenceError) in try ONNXRuntimeBackend(path: path, settings: settings) })

    /// Opens the library at `path`: any build of ONNX Runtime from 1.14 on.
    public init(path: String, settings: EngineSettings) throws(InferenceError) {
        library = try ONNXRuntimeLibrary(path: path, settings: settings)
        self.settings = settings
    }

    public var version: String { library.version }

    public var memoryInUse: Int? { Int(connx_allocator_bytes(library.allocator)) }

    public func info(workers: Int) -> [(name: String, value: String)] {
        [
            ("onnxruntime_version", version),
            ("onnxruntime_memory", String(connx_allocator_bytes(library.allocator))),
            ("onnxruntime_memory_access_num", String(connx_allocator_accesses(library.allocator))),
            ("onnxruntime_maximum_run_sessions_number", String(workers)),
        ]
    }

    public func load(_ definition: ModelDefinition) throws(InferenceError) -> any LoadedModel {
        try definition.blob.withContiguousBytes { bytes throws(InferenceError) in
            let uncounted = try ONNXModelInspection.check(bytes)
            return try ONNXSession(
                library: library, settings: settings, device: definition.device, model: bytes,
                uncountedBytes: uncounted)
        }
    }
}
