internal import BackendSupport
internal import CLiteRT
internal import Glibc
internal import Inference

/// The opened LiteRT library with its environment. Never closed: the library's statics outlive every use.
final class LiteRTLibrary: @unchecked Sendable {
    let functions: CLiteRtFunctions
    let environment: OpaquePointer

    /// Opens the library at `path`.
    init(path: String) throws(InferenceError) {
        let library = try SharedLibrary(path: path)
        guard library.address("LiteRtCreateEnvironment") != nil else {
            library.close()
            throw InferenceError("\(path) is not LiteRT")
        }
        functions = try Self.resolve(library, path)
        environment = try Self.makeEnvironment(functions)
    }

    private static func resolve(_ library: SharedLibrary, _ path: String) throws(InferenceError) -> CLiteRtFunctions {
        var functions = CLiteRtFunctions()
        for index in 0..<clitert_function_count() {
            guard let name = clitert_function_name(index).map({ String(cString: $0) }),
                let address = library.address(name)
            else {
                let name = clitert_function_name(index).map { String(cString: $0) } ?? ""
                library.close()
                throw InferenceError("\(path) is a version of LiteRT without \(name)")
            }
            clitert_set_function(&functions, index, address)
        }
        return functions
    }

    /// Only the CPU is registered: otherwise the library looks for vendors' libraries and loads what it finds.
    private static func makeEnvironment(_ functions: CLiteRtFunctions) throws(InferenceError) -> OpaquePointer {
        let options = [
            option(LITERT_OPTION_ACCELERATORS, Int64(LITERT_ACCELERATOR_CPU)),
            // A failing run is the client's news, not the server log's: it goes into the reply.
            option(LITERT_OPTION_LOG_SEVERITY, Int64(LITERT_LOG_SILENT)),
        ]
        var environment: OpaquePointer?
        guard functions.CreateEnvironment(Int32(options.count), options, &environment) == LITERT_OK, let environment
        else { throw InferenceError("the library cannot make an environment") }
        return environment
    }

    private static func option(_ tag: Int32, _ value: Int64) -> LiteRtEnvOption {
        var option = LiteRtEnvOption()
        option.tag = tag
        option.value.type = LITERT_ANY_INTEGER
        option.value.content.integer = value
        return option
    }

    /// Options for one compiled model: the CPU, in the caller's thread, with messages kept for us instead of printed.
    /// To be destroyed by the caller.
    func makeOptions() throws(InferenceError) -> OpaquePointer {
        var options: OpaquePointer?
        guard functions.CreateOptions(&options) == LITERT_OK, let options else { throw .cannotConstruct }
        do throws(InferenceError) {
            guard functions.SetOptionsHardwareAccelerators(options, LITERT_ACCELERATOR_CPU) == LITERT_OK else {
                throw .cannotConstruct
            }
            try add("num_threads = 1\n", as: "xnnpack", to: options)
            // 2: errors go to a buffer.
            try add("error_reporter_mode = 2\n", as: "runtime_options_string", to: options)
        } catch {
            functions.DestroyOptions(options)
            throw error
        }
        return options
    }

    /// Adds settings in TOML, the form in which parts of the library take theirs.
    private func add(_ text: String, as identifier: String, to options: OpaquePointer) throws(InferenceError) {
        guard let payload = strdup(text) else { throw .cannotConstruct }
        var added: OpaquePointer?
        guard functions.CreateOpaqueOptions(identifier, payload, { free($0) }, &added) == LITERT_OK, let added else {
            free(payload)
            throw .cannotConstruct
        }
        guard functions.AddOpaqueOptions(options, added) == LITERT_OK else {
            functions.DestroyOpaqueOptions(added)
            throw .cannotConstruct
        }
    }
}

/// The texts that clients of the original know.
extension InferenceError {
    static let cannotLoad = InferenceError("Failed to load model from buffer")
    static let cannotConstruct = InferenceError("Failed to construct interpreter")
    static let cannotResize = InferenceError("Failed to resize input tensors")
    static let cannotAllocate = InferenceError("Failed to allocate tensors")
    static let cannotInvoke = InferenceError("Failed to invoke TfLite")
    static let interrupted = InferenceError("Failed to invoke TfLite: Client requested cancel during Invoke()")
    static let wrongInputType = InferenceError(
        "Input tensor type doesn't match the type expected by the model definition")
    static let unsupportedInputType = InferenceError("Unsupported input data type")
    static let unsupportedOutputType = InferenceError("Unsupported output data type")
    static let halfInput = InferenceError("Float16 not currently supported as input tensor data type")
    static let halfOutput = InferenceError("Float16 not currently supported as output tensor data type")
    static let inconsistentInputs = InferenceError("Inconsistent number of inputs")

    static let dependsOnData = InferenceError("ERR LiteRT cannot return an output whose shape depends on the data")
}
