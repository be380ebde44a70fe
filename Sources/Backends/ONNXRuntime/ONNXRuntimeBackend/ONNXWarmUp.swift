internal import BackendSupport
internal import CONNXRuntime
internal import Inference
internal import Tensors

/// Inputs for a first run nobody waits for.
enum ONNXWarmUp {
    /// Zeros in the shapes the model declares, 1 for free dimensions; nil when an input is not such a tensor.
    static func inputs(
        _ library: ONNXRuntimeLibrary, _ session: OpaquePointer, count: Int
    ) throws(InferenceError) -> [Tensor]? {
        var tensors: [Tensor] = []
        for index in 0..<count {
            guard let tensor = try input(library.api, session, index) else { return nil }
            tensors.append(tensor)
        }
        return tensors
    }

    private static func input(
        _ api: OpaquePointer, _ session: OpaquePointer, _ index: Int
    ) throws(InferenceError) -> Tensor? {
        let info = try makeHandle(api) { Ort_SessionGetInputTypeInfo(api, session, index, $0) }
        defer { Ort_ReleaseTypeInfo(api, info) }
        var tensorInfo: OpaquePointer?
        try check(api, Ort_CastTypeInfoToTensorInfo(api, info, &tensorInfo))
        guard let tensorInfo else { return nil }
        let (elementType, declared) = try ONNXTensorReader.typeAndShape(api, of: tensorInfo)
        guard let dataType = DataType(onnxElementType: elementType) else { return nil }
        return WarmUpInputs.zeros(dataType, declared: declared)
    }
}
