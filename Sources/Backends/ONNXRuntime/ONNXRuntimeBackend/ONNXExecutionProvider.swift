internal import CONNXRuntime
internal import Inference

/// What runs a model on a GPU: a part of ONNX Runtime that some builds of the library have.
///
/// Weights are kept on the device. Inputs are copied there by the engine, and outputs back into host memory.
enum ONNXExecutionProvider: String {
    case tensorRT = "TensorrtExecutionProvider"
    case cuda = "CUDAExecutionProvider"

    /// Adds what the device wants to the options of a session, preferred providers first. Nothing for a CPU.
    static func add(
        to options: OpaquePointer, for device: Device, _ library: ONNXRuntimeLibrary, usesTensorRT: Bool
    ) throws(InferenceError) {
        guard device.kind == .gpu else { return }
        let available = try names(library.api)
        let wanted: [ONNXExecutionProvider] = usesTensorRT ? [.tensorRT, .cuda] : [.cuda]
        let usable = wanted.filter { available.contains($0.rawValue) }
        guard !usable.isEmpty else { throw .noCUDA }
        for provider in usable { try provider.append(library.api, options, device: device.index ?? 0) }
    }

    /// The providers that the library was built with.
    private static func names(_ api: OpaquePointer) throws(InferenceError) -> Set<String> {
        var names: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
        var count: Int32 = 0
        try check(api, Ort_GetAvailableProviders(api, &names, &count))
        guard let names else { return [] }
        let strings = (0..<Int(count)).compactMap { index in names[index].map { String(cString: $0) } }
        try check(api, Ort_ReleaseAvailableProviders(api, names, count))
        return Set(strings)
    }

    private func append(_ api: OpaquePointer, _ options: OpaquePointer, device: Int) throws(InferenceError) {
        switch self {
        case .cuda:
            let provider = try makeHandle(api) { Ort_CreateCUDAProviderOptions(api, $0) }
            defer { Ort_ReleaseCUDAProviderOptions(api, provider) }
            try Self.setDevice(api, device) { Ort_UpdateCUDAProviderOptions(api, provider, $0, $1, 1) }
            try check(api, Ort_SessionOptionsAppendExecutionProvider_CUDA_V2(api, options, provider))
        case .tensorRT:
            let provider = try makeHandle(api) { Ort_CreateTensorRTProviderOptions(api, $0) }
            defer { Ort_ReleaseTensorRTProviderOptions(api, provider) }
            try Self.setDevice(api, device) { Ort_UpdateTensorRTProviderOptions(api, provider, $0, $1, 1) }
            try check(api, Ort_SessionOptionsAppendExecutionProvider_TensorRT_V2(api, options, provider))
        }
    }

    private static func setDevice(
        _ api: OpaquePointer, _ device: Int,
        _ update: (UnsafePointer<UnsafePointer<CChar>?>, UnsafePointer<UnsafePointer<CChar>?>) -> OpaquePointer?
    ) throws(InferenceError) {
        let status = "device_id".withCString { key in
            String(device).withCString { value in
                var keys: UnsafePointer<CChar>? = key
                var values: UnsafePointer<CChar>? = value
                return update(&keys, &values)
            }
        }
        try check(api, status)
    }
}

extension InferenceError {
    static let noCUDA = InferenceError("ERR GPU requested but ONNX couldn't find CUDA")
}
