internal import BackendSupport
internal import CPyTorch
internal import Inference
internal import Tensors

/// The opened library: a table of functions, and libtorch behind it. Never closed.
final class PyTorchLibrary: @unchecked Sendable {
    let api: UnsafePointer<RedisAITorch>

    /// Opens the library at `path` and sets libtorch up. One per process.
    init(path: String, settings: EngineSettings) throws(InferenceError) {
        let library = try SharedLibrary(path: path)
        let function = try? library.function(
            REDISAI_TORCH_INTERFACE_SYMBOL, as: RedisAITorchInterfaceFunction.self)
        guard let function else {
            library.close()
            throw InferenceError("\(path) is not this module's library for PyTorch")
        }
        guard let api = function(REDISAI_TORCH_INTERFACE_VERSION) else {
            throw InferenceError("\(path) was built for another version of this module")
        }
        self.api = api
        let memory = TensorAllocator.shared
        var start = RTSettings(
            intra_op_threads: Int32(clamping: settings.intraOpParallelism),
            inter_op_threads: Int32(clamping: settings.interOpParallelism),
            memory_limit: settings.memoryLimit == 0 ? EngineSettings.machineMemoryLimit : settings.memoryLimit,
            process_limit: EngineSettings.machineMemoryLimit,
            allocate: memory.allocate, deallocate: memory.deallocate,
            // Balances the retain in `PyTorchInputs`.
            release_owner: { owner in owner.map { Unmanaged<Tensor>.fromOpaque($0).release() } })
        try check(api.pointee.start(&start))
    }

    var version: String { api.pointee.version().map { String(cString: $0) } ?? "unknown" }

    /// Throws the text of a failed call.
    func check(_ text: UnsafeMutablePointer<CChar>?) throws(InferenceError) {
        guard let text else { return }
        defer { api.pointee.free_text(text) }
        throw InferenceError(String(cString: text))
    }
}
