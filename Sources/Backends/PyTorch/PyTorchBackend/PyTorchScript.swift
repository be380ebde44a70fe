internal import CPyTorch
internal import Inference
internal import Tensors

/// A compiled script.
final class PyTorchScript: LoadedScript, @unchecked Sendable {
    private let library: PyTorchLibrary
    private let script: OpaquePointer
    private let runs = PyTorchRunPool()

    init(
        _ library: PyTorchLibrary, _ source: [UInt8], device: RTDevice, allowsUnsafeOperations: Bool
    ) throws(InferenceError) {
        library.api.pointee.use_one_thread()
        var script: OpaquePointer?
        let text = String(decoding: source, as: UTF8.self)
        try library.check(
            text.withCString {
                library.api.pointee.compile_script($0, device, allowsUnsafeOperations ? 1 : 0, &script)
            })
        guard let script else { throw InferenceError("ERR Generic error") }
        self.library = library
        self.script = script
    }

    deinit {
        library.api.pointee.free_script(script)
    }

    /// Throws unless `function` exists and takes tensors, keys and arguments.
    func checkEntryPoint(_ function: String) throws(InferenceError) {
        var count = 0
        switch library.api.pointee.script_signature(script, function, &count) {
        case RT_SIGNATURE_ENTRY_POINT: return
        case RT_SIGNATURE_WRONG_COUNT:
            throw InferenceError("Wrong number of inputs in function \(function). Expected 3 but was \(count)")
        case RT_SIGNATURE_WRONG_TYPES:
            throw InferenceError(
                "Wrong inputs type in function \(function). Expected signature similar to: def "
                    + "\(function)(tensors: List[Tensor], keys: List[str], args: List[str])")
        default: throw InferenceError("Function \(function) does not exist in the given script.")
        }
    }

    func run(
        _ call: ScriptCall, inputs: [Tensor], isEntryPoint: Bool, outputCount: Int, host: ScriptHost, watch: RunWatch
    ) throws(InferenceError) -> [Tensor?] {
        let views = try PyTorchViews(inputs, areRetained: true)
        let keys = PyTorchStrings(call.keys)
        let arguments = PyTorchStrings(call.arguments)
        let handle = try runs.withRun(library, watch) { run throws(InferenceError) in
            var handle: OpaquePointer?
            let failure = call.function.withCString { function in
                views.withPointer { inputs in
                    var call = RTCall(
                        function: function, is_entry_point: isEntryPoint ? 1 : 0, inputs: inputs,
                        input_count: views.count, keys: keys.pointer, key_count: keys.count,
                        arguments: arguments.pointer, argument_count: arguments.count, output_count: outputCount)
                    return PyTorchHost(library, host).withInterface {
                        library.api.pointee.run_script(script, run, &call, $0, &handle)
                    }
                }
            }
            try library.check(failure)
            return handle
        }
        guard let handle else { throw InferenceError("ERR Generic error") }
        return try PyTorchOutputs(library, handle).tensors()
    }
}

/// Byte strings as the library takes them, copied into one block.
struct PyTorchStrings: ~Copyable {
    private let bytes: UnsafeMutableBufferPointer<CChar>
    private let strings: UnsafeMutableBufferPointer<RTBytes>

    init(_ texts: [[UInt8]]) {
        bytes = .allocate(capacity: max(1, texts.reduce(0) { $0 + $1.count }))
        strings = .allocate(capacity: max(1, texts.count))
        count = texts.count
        var position = 0
        for (index, text) in texts.enumerated() {
            for (offset, byte) in text.enumerated() {
                bytes.initializeElement(at: position + offset, to: CChar(bitPattern: byte))
            }
            let start = bytes.baseAddress.map { UnsafePointer($0 + position) }
            strings.initializeElement(at: index, to: RTBytes(start: start, count: text.count))
            position += text.count
        }
    }

    deinit {
        bytes.deallocate()
        strings.deallocate()
    }

    let count: Int
    var pointer: UnsafePointer<RTBytes>? { UnsafePointer(strings.baseAddress) }
}
