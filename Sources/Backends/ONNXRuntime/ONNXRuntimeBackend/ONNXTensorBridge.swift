internal import BackendSupport
internal import CONNXRuntime
internal import Inference
internal import Tensors

extension DataType {
    /// The engine's number for the data type.
    var onnxElementType: Int32 {
        switch self {
        case .float: ORT_FLOAT
        case .double: ORT_DOUBLE
        case .int8: ORT_INT8
        case .int16: ORT_INT16
        case .int32: ORT_INT32
        case .int64: ORT_INT64
        case .uint8: ORT_UINT8
        case .uint16: ORT_UINT16
        case .bool: ORT_BOOL
        case .string: ORT_STRING
        }
    }

    init?(onnxElementType type: Int32) {
        guard let match = DataType.allCases.first(where: { $0.onnxElementType == type }) else { return nil }
        self = match
    }
}

extension InferenceError {
    static func unsupportedElementType(_ type: Int32) -> InferenceError {
        InferenceError("ERR unsupported data type in model output (ONNX element type \(type))")
    }
}

/// The engine's view of the inputs of one run: fixed-size data in place, strings copied.
struct ONNXInputs {
    private var values: [OpaquePointer?] = []

    init(_ library: ONNXRuntimeLibrary, _ tensors: [Tensor]) throws(InferenceError) {
        values.reserveCapacity(tensors.count)
        for tensor in tensors {
            do throws(InferenceError) {
                let value =
                    tensor.dataType == .string
                    ? try Self.strings(library, tensor) : try Self.view(library, tensor)
                values.append(value)
            } catch {
                release(library.api)
                throw error
            }
        }
    }

    mutating func release(_ api: OpaquePointer) {
        for value in values { Ort_ReleaseValue(api, value) }
        values = []
    }

    func withPointers<Result>(_ body: (UnsafePointer<OpaquePointer?>?) -> Result) -> Result {
        values.withUnsafeBufferPointer { body($0.baseAddress) }
    }

    private static func view(_ library: ONNXRuntimeLibrary, _ tensor: Tensor) throws(InferenceError) -> OpaquePointer {
        try tensor.withBytes { bytes throws(InferenceError) in
            try view(library, tensor.dataType, tensor.shape, bytes)
        }
    }

    /// A value over `bytes`, which must outlive it. The engine does not write to inputs.
    static func view(
        _ library: ONNXRuntimeLibrary, _ dataType: DataType, _ shape: Shape, _ bytes: UnsafeRawBufferPointer
    ) throws(InferenceError) -> OpaquePointer {
        try withDimensions(shape) { dimensions throws(InferenceError) in
            try makeHandle(library.api) {
                Ort_CreateTensorWithDataAsOrtValue(
                    library.api, library.memoryInfo, UnsafeMutableRawPointer(mutating: bytes.baseAddress),
                    bytes.count, dimensions.baseAddress, dimensions.count, dataType.onnxElementType, $0)
            }
        }
    }

    private static func strings(
        _ library: ONNXRuntimeLibrary, _ tensor: Tensor
    ) throws(InferenceError) -> OpaquePointer {
        let api = library.api
        let value = try withDimensions(tensor.shape) { dimensions throws(InferenceError) in
            try makeHandle(api) {
                Ort_CreateTensorAsOrtValue(
                    api, connx_allocator_interface(library.allocator), dimensions.baseAddress, dimensions.count,
                    ORT_STRING, $0)
            }
        }
        var elements: [UnsafePointer<CChar>?] = []
        elements.reserveCapacity(tensor.elementCount)
        // Stored strings end with a NUL, so each is a C string in place.
        tensor.forEachString { elements.append($0.baseAddress?.assumingMemoryBound(to: CChar.self)) }
        do throws(InferenceError) {
            try check(api, Ort_FillStringTensor(api, value, elements, elements.count))
        } catch {
            Ort_ReleaseValue(api, value)
            throw error
        }
        return value
    }

    private static func withDimensions(
        _ shape: Shape, _ body: (UnsafeBufferPointer<Int64>) throws(InferenceError) -> OpaquePointer
    ) throws(InferenceError) -> OpaquePointer {
        var dimensions = InlineArray<64, Int64>(repeating: 0)
        guard shape.rank <= 64 else { throw .unsupportedRank }
        for index in 0..<shape.rank { dimensions[index] = Int64(shape[index]) }
        return try withUnsafePointer(to: &dimensions) { pointer throws(InferenceError) in
            let start = UnsafeRawPointer(pointer).assumingMemoryBound(to: Int64.self)
            return try body(UnsafeBufferPointer(start: start, count: shape.rank))
        }
    }
}

/// What the engine returned of one run.
struct ONNXOutputs {
    private var values: [OpaquePointer?]

    init(count: Int) {
        values = Array(repeating: nil, count: count)
    }

    mutating func withPointers<Result>(_ body: (UnsafeMutablePointer<OpaquePointer?>?) -> Result) -> Result {
        values.withUnsafeMutableBufferPointer { body($0.baseAddress) }
    }

    mutating func release(_ api: OpaquePointer) {
        for case let value? in values { Ort_ReleaseValue(api, value) }
        values = []
    }

    /// The outputs as tensors; nil where there is no tensor form.
    func tensors(_ library: ONNXRuntimeLibrary, convertingMaps: Bool) throws(InferenceError) -> [Tensor?] {
        var tensors: [Tensor?] = []
        tensors.reserveCapacity(values.count)
        for value in values {
            tensors.append(
                try value.flatMap { value throws(InferenceError) in
                    try Self.tensor(library, value, convertingMaps)
                })
        }
        return tensors
    }

    private static func tensor(
        _ library: ONNXRuntimeLibrary, _ value: OpaquePointer, _ convertingMaps: Bool
    ) throws(InferenceError) -> Tensor? {
        let api = library.api
        let type: Int32 = try readNumber(api) { Ort_GetValueType(api, value, $0) }
        switch type {
        case ORT_TYPE_TENSOR: return try ONNXTensorReader.tensor(api, value)
        case ORT_TYPE_SEQUENCE, ORT_TYPE_MAP:
            return convertingMaps ? try ONNXMapConverter(library).tensor(value, type: type) : nil
        default: return nil
        }
    }
}

/// Copies the engine's tensors.
enum ONNXTensorReader {
    static func tensor(_ api: OpaquePointer, _ value: OpaquePointer) throws(InferenceError) -> Tensor {
        let (elementType, shape) = try typeAndShape(api, value)
        guard let dataType = DataType(onnxElementType: elementType) else { throw .unsupportedElementType(elementType) }
        if dataType == .string { return try strings(api, value, shape) }
        var data: UnsafeMutableRawPointer?
        try check(api, Ort_GetTensorMutableData(api, value, &data))
        do throws(TensorError) {
            return try Tensor(dataType, shape) { bytes in
                if let data { bytes.copyMemory(from: UnsafeRawBufferPointer(start: data, count: bytes.count)) }
            }
        } catch {
            throw .tensorTooLarge
        }
    }

    private static func typeAndShape(
        _ api: OpaquePointer, _ value: OpaquePointer
    ) throws(InferenceError) -> (elementType: Int32, shape: Shape) {
        let info = try makeHandle(api) { Ort_GetTensorTypeAndShape(api, value, $0) }
        defer { Ort_ReleaseTensorTypeAndShapeInfo(api, info) }
        return try typeAndShape(api, of: info)
    }

    /// Element type and dimensions, -1 for a free one.
    static func typeAndShape(
        _ api: OpaquePointer, of info: OpaquePointer
    ) throws(InferenceError) -> (elementType: Int32, shape: Shape) {
        let type: Int32 = try readNumber(api) { Ort_GetTensorElementType(api, info, $0) }
        let rank: Int = try readNumber(api) { Ort_GetDimensionsCount(api, info, $0) }
        var dimensions = InlineArray<64, Int64>(repeating: 0)
        guard rank <= 64 else { throw .unsupportedRank }
        let status = withUnsafeMutablePointer(to: &dimensions) { pointer in
            Ort_GetDimensions(api, info, UnsafeMutableRawPointer(pointer).assumingMemoryBound(to: Int64.self), rank)
        }
        try check(api, status)
        var shape = Shape()
        for index in 0..<rank { shape.append(Int(dimensions[index])) }
        return (type, shape)
    }

    private static func strings(
        _ api: OpaquePointer, _ value: OpaquePointer, _ shape: Shape
    ) throws(InferenceError) -> Tensor {
        let total: Int = try readNumber(api) { Ort_GetStringTensorDataLength(api, value, $0) }
        let count = shape.elementCount ?? 0
        var offsets = [Int](repeating: 0, count: count)
        var content = [UInt8](repeating: 0, count: total)
        try check(api, Ort_GetStringTensorContent(api, value, &content, total, &offsets, count))
        offsets.append(total)
        do throws(TensorError) {
            return try Tensor(strings: 0..<count, shape) { index, body in
                content.withUnsafeBytes { bytes in
                    body(UnsafeRawBufferPointer(rebasing: bytes[offsets[index]..<offsets[index + 1]]))
                }
            }
        } catch {
            throw error == .stringContainsNull ? .stringContainsNull : .tensorTooLarge
        }
    }
}
