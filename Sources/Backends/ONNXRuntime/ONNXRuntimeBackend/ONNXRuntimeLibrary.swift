internal import BackendSupport
internal import CONNXRuntime
internal import Glibc
internal import Inference
internal import Tensors

/// The opened ONNX Runtime library with its environment: one thread pool and one allocator for all models. Never
/// closed: the library's own threads and statics outlive every use.
final class ONNXRuntimeLibrary: @unchecked Sendable {
    let api: OpaquePointer
    let version: String
    let environment: OpaquePointer
    /// Describes CPU memory.
    let memoryInfo: OpaquePointer
    let allocator: OpaquePointer

    /// Opens the library at `path`.
    init(path: String, settings: EngineSettings) throws(InferenceError) {
        let base = try Self.open(path)
        guard let getApi = base.pointee.GetApi, let getVersion = base.pointee.GetVersionString,
            let api = getApi(ORT_REQUIRED_API_VERSION)
        else { throw InferenceError("the library is older than the interface needed") }
        self.api = api
        version = getVersion().map { String(cString: $0) } ?? "unknown"
        environment = try Self.makeEnvironment(api, settings)
        memoryInfo = try makeHandle(api) {
            Ort_CreateMemoryInfo(api, "Cpu", ORT_DEVICE_ALLOCATOR, 0, ORT_DEFAULT_MEMORY, $0)
        }
        let memory = TensorAllocator.shared
        guard
            let allocator = connx_allocator_create(
                memoryInfo, memory.allocate, memory.deallocate, memory.usableSize,
                settings.memoryLimit == 0 ? EngineSettings.machineMemoryLimit : settings.memoryLimit)
        else { throw InferenceError("out of memory") }
        self.allocator = allocator
        try check(api, Ort_RegisterAllocator(api, environment, connx_allocator_interface(allocator)))
    }

    private static func open(_ path: String) throws(InferenceError) -> UnsafePointer<OrtApiBase> {
        let library = try SharedLibrary(path: path)
        guard let getBase = try? library.function("OrtGetApiBase", as: OrtGetApiBaseFunction.self) else {
            library.close()
            throw InferenceError("\(path) is not ONNX Runtime")
        }
        guard let base = getBase() else { throw InferenceError("\(path) has no interface") }
        return base
    }

    private static func makeEnvironment(
        _ api: OpaquePointer, _ settings: EngineSettings
    ) throws(InferenceError) -> OpaquePointer {
        let threading = try makeHandle(api) { Ort_CreateThreadingOptions(api, $0) }
        defer { Ort_ReleaseThreadingOptions(api, threading) }
        try check(api, Ort_SetGlobalIntraOpNumThreads(api, threading, Int32(clamping: settings.intraOpParallelism)))
        // Sessions run their operators one after the other unless told otherwise: no threads for what is not done.
        let interOpThreads = max(1, settings.interOpParallelism)
        try check(api, Ort_SetGlobalInterOpNumThreads(api, threading, Int32(clamping: interOpThreads)))
        // Within runs only, see `ONNXSession`: idle threads sleep, the processors belong to the server.
        try check(api, Ort_SetGlobalSpinControl(api, threading, 1))
        return try makeHandle(api) {
            // A failing run is the client's news, not the server log's: it goes into the reply.
            Ort_CreateEnvWithGlobalThreadPools(api, ORT_LOG_FATAL, "redisai", threading, $0)
        }
    }
}

/// Throws the text of a failed call. The status is released.
func check(_ api: OpaquePointer, _ status: OpaquePointer?) throws(InferenceError) {
    guard let status else { return }
    defer { Ort_ReleaseStatus(api, status) }
    throw InferenceError(Ort_GetErrorMessage(api, status).map { String(cString: $0) } ?? "ERR Generic error")
}

/// Calls a function that makes a handle, and returns the handle.
func makeHandle(
    _ api: OpaquePointer, _ make: (UnsafeMutablePointer<OpaquePointer?>) -> OpaquePointer?
) throws(InferenceError) -> OpaquePointer {
    var handle: OpaquePointer?
    try check(api, make(&handle))
    guard let handle else { throw InferenceError("ERR Generic error") }
    return handle
}

/// Calls a function that reports a number, and returns the number.
func readNumber<Number: FixedWidthInteger>(
    _ api: OpaquePointer, _ read: (UnsafeMutablePointer<Number>) -> OpaquePointer?
) throws(InferenceError) -> Number {
    var number: Number = 0
    try check(api, read(&number))
    return number
}
