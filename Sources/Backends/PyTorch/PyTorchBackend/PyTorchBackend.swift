internal import BackendSupport
internal import CPyTorch
public import Inference

/// PyTorch (libtorch) as an engine: TorchScript modules as models, and scripts.
public final class PyTorchBackend: ScriptBackend {
    private let library: PyTorchLibrary
    private let allowsUnsafeOperations: Bool

    /// The engine's row in the registry.
    public static let description = BackendDescription(
        name: "TORCH", id: 2, defaultPath: "redisai_torch/redisai_torch.so", names: .fromModel,
        open: { path, settings throws(InferenceError) in try PyTorchBackend(path: path, settings: settings) })

    /// Opens the library at `path`: our own between the module and libtorch, with libtorch beside it.
    public init(path: String, settings: EngineSettings) throws(InferenceError) {
        library = try PyTorchLibrary(path: path, settings: settings)
        allowsUnsafeOperations = settings.allowsUnsafeOperations
    }

    public var version: String { library.version }

    public var memoryInUse: Int? { Int(library.api.pointee.memory_in_use()) }

    /// One field, as in RedisAI 1.x; monitoring expects no version in it.
    public func info(workers: Int) -> [(name: String, value: String)] {
        [("Torch_version", "NA")]
    }

    public func load(_ definition: ModelDefinition) throws(InferenceError) -> any LoadedModel {
        try definition.blob.withContiguousBytes { bytes throws(InferenceError) in
            try PyTorchModule(
                library, bytes, device: RTDevice(definition.device), allowsUnsafeOperations: allowsUnsafeOperations)
        }
    }

    public func compile(_ definition: ScriptDefinition) throws(InferenceError) -> any LoadedScript {
        let script = try PyTorchScript(
            library, definition.source, device: RTDevice(definition.identity.device),
            allowsUnsafeOperations: allowsUnsafeOperations)
        for function in definition.entryPoints { try script.checkEntryPoint(function) }
        return script
    }
}

extension RTDevice {
    init(_ device: Device) {
        self.init(kind: device.kind == .gpu ? RT_GPU : RT_CPU, index: device.index.map { Int32(clamping: $0) } ?? -1)
    }
}
