internal import BackendSupport
internal import CPyTorch
internal import Inference
internal import Tensors

/// A TorchScript module.
final class PyTorchModule: LoadedModel, @unchecked Sendable {
    let inputNames: [String]
    /// Outputs have no names in TorchScript.
    let outputNames: [String]
    let memoryUsage: Int
    let costFollowsFromShapes: Bool

    private let library: PyTorchLibrary
    private let module: OpaquePointer
    private let runs = PyTorchRunPool()

    init(
        _ library: PyTorchLibrary, _ bytes: UnsafeRawBufferPointer, device: RTDevice, allowsUnsafeOperations: Bool
    ) throws(InferenceError) {
        let api = library.api
        // This thread loads one model after the other; helpers of its own would wait for nothing most of the time.
        api.pointee.use_one_thread()
        var module: OpaquePointer?
        try library.check(
            api.pointee.load_module(bytes.baseAddress, bytes.count, device, allowsUnsafeOperations ? 1 : 0, &module))
        guard let module else { throw InferenceError("ERR Generic error") }
        self.library = library
        self.module = module
        inputNames = (0..<api.pointee.module_input_count(module)).map { index in
            api.pointee.module_input_name(module, index).map { String(cString: $0) } ?? ""
        }
        outputNames = Array(repeating: "", count: api.pointee.module_output_count(module))
        costFollowsFromShapes = api.pointee.module_cost_follows_from_shapes(module) != 0
        memoryUsage = api.pointee.module_bytes(module)
    }

    deinit {
        library.api.pointee.free_module(module)
    }

    func run(_ inputs: [Tensor], watch: RunWatch) throws(InferenceError) -> [Tensor?] {
        let views = try PyTorchViews(inputs, areRetained: true)
        let handle = try runs.withRun(library, watch) { run throws(InferenceError) in
            var handle: OpaquePointer?
            try library.check(
                views.withPointer { library.api.pointee.run_module(module, run, $0, inputs.count, &handle) })
            return handle
        }
        guard let handle else { throw InferenceError("ERR Generic error") }
        let outputs = try PyTorchOutputs(library, handle).tensors()
        guard outputs.count == outputNames.count else {
            throw InferenceError("Function returned unexpected number of outputs - forward")
        }
        return outputs
    }

    /// TorchScript does not say which shapes and types a module wants: there is nothing to make up.
    func warmUp(watch: RunWatch) {}
}
