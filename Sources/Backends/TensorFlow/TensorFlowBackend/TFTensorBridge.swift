internal import BackendSupport
internal import CTensorFlow
internal import Glibc
internal import Inference
internal import Tensors

extension DataType {
    /// The library's number for the data type.
    var tensorFlowType: Int32 {
        switch self {
        case .float: TF_FLOAT
        case .double: TF_DOUBLE
        case .int8: TF_INT8
        case .int16: TF_INT16
        case .int32: TF_INT32
        case .int64: TF_INT64
        case .uint8: TF_UINT8
        case .uint16: TF_UINT16
        case .bool: TF_BOOL
        case .string: TF_STRING
        }
    }

    init?(tensorFlowType type: Int32) {
        guard let match = DataType.allCases.first(where: { $0.tensorFlowType == type }) else { return nil }
        self = match
    }
}

extension InferenceError {
    static func unsupportedTensorFlowType(_ type: Int32) -> InferenceError {
        InferenceError("ERR unsupported data type in model output (TF data type \(type))")
    }
}

/// The library's view of the inputs of one run: fixed-size data in place, strings copied.
final class TFInputs {
    private let functions: UnsafePointer<CTensorFlow>
    private var values: [OpaquePointer?] = []

    init(_ library: TensorFlowLibrary, _ tensors: [Tensor]) throws(InferenceError) {
        functions = library.functions
        values.reserveCapacity(tensors.count)
        // A throw runs `deinit`: everything has been initialised.
        for tensor in tensors {
            let value =
                tensor.dataType == .string
                ? TFStrings.tensor(library, tensor) : Self.view(library, tensor)
            guard let value else { throw .tensorTooLarge }
            values.append(value)
        }
    }

    deinit {
        for value in values { Tf_DeleteTensor(functions, value) }
    }

    func withPointers<Result>(_ body: (UnsafePointer<OpaquePointer?>?) -> Result) -> Result {
        values.withUnsafeBufferPointer { body($0.baseAddress) }
    }

    /// The tensor's own bytes. The library does not write to them, and keeps the tensor for as long as it needs it:
    /// beyond the run, when a variable of the graph has taken it over.
    private static func view(_ library: TensorFlowLibrary, _ tensor: Tensor) -> OpaquePointer? {
        let owner = Unmanaged.passRetained(tensor)
        let value = withDimensions(tensor.shape) { dimensions, rank in
            tensor.withBytes { bytes in
                Tf_NewTensor(
                    library.functions, tensor.dataType.tensorFlowType, dimensions, rank,
                    UnsafeMutableRawPointer(mutating: bytes.baseAddress), bytes.count,
                    { _, _, owner in
                        if let owner { Unmanaged<Tensor>.fromOpaque(owner).release() }
                    }, owner.toOpaque())
            }
        }
        if value == nil { owner.release() }
        return value
    }

    static func withDimensions<Result>(_ shape: Shape, _ body: (UnsafePointer<Int64>?, Int32) -> Result?) -> Result? {
        var dimensions = InlineArray<64, Int64>(repeating: 0)
        guard shape.rank <= Shape.rankLimit else { return nil }
        for index in 0..<shape.rank { dimensions[index] = Int64(shape[index]) }
        return withUnsafePointer(to: &dimensions) { pointer in
            body(UnsafeRawPointer(pointer).assumingMemoryBound(to: Int64.self), Int32(shape.rank))
        }
    }
}

/// The elements of a STRING tensor in the library's form, freed when the library has no more use for them.
private final class TFStrings {
    private let functions: UnsafePointer<CTensorFlow>
    private let elements: UnsafeMutablePointer<TF_TString>
    private let count: Int

    private init?(_ library: TensorFlowLibrary, count: Int) {
        let stride = MemoryLayout<TF_TString>.stride
        guard let block = calloc(max(1, count), stride) else { return nil }
        functions = library.functions
        elements = block.bindMemory(to: TF_TString.self, capacity: max(1, count))
        self.count = count
        for index in 0..<count { Tf_StringInit(functions, elements + index) }
    }

    deinit {
        for index in 0..<count { Tf_StringDealloc(functions, elements + index) }
        free(elements)
    }

    private func fill(_ tensor: Tensor) {
        var index = 0
        tensor.forEachString { content in
            guard index < count else { return }
            let start = content.baseAddress?.assumingMemoryBound(to: CChar.self)
            Tf_StringCopy(functions, elements + index, start, content.count)
            index += 1
        }
    }

    /// A copy of a STRING tensor.
    static func tensor(_ library: TensorFlowLibrary, _ tensor: Tensor) -> OpaquePointer? {
        guard let strings = TFStrings(library, count: tensor.elementCount) else { return nil }
        strings.fill(tensor)
        let owner = Unmanaged.passRetained(strings)
        let value = TFInputs.withDimensions(tensor.shape) { dimensions, rank in
            Tf_NewTensor(
                library.functions, TF_STRING, dimensions, rank, strings.elements,
                strings.count * MemoryLayout<TF_TString>.stride,
                { _, _, owner in
                    if let owner { Unmanaged<TFStrings>.fromOpaque(owner).release() }
                }, owner.toOpaque())
        }
        if value == nil { owner.release() }
        return value
    }
}

/// What the library returned of one run.
final class TFOutputs {
    private let functions: UnsafePointer<CTensorFlow>
    private var values: [OpaquePointer?]

    init(_ library: TensorFlowLibrary, count: Int) {
        functions = library.functions
        values = Array(repeating: nil, count: count)
    }

    deinit {
        for case let value? in values { Tf_DeleteTensor(functions, value) }
    }

    func withPointers<Result>(_ body: (UnsafeMutablePointer<OpaquePointer?>?) -> Result) -> Result {
        values.withUnsafeMutableBufferPointer { body($0.baseAddress) }
    }

    /// The outputs as tensors: copies.
    func tensors() throws(InferenceError) -> [Tensor?] {
        var tensors: [Tensor?] = []
        tensors.reserveCapacity(values.count)
        for value in values {
            guard let value else { throw .generic }
            tensors.append(try tensor(value))
        }
        return tensors
    }

    private func tensor(_ value: OpaquePointer) throws(InferenceError) -> Tensor {
        let type = Tf_TensorType(functions, value)
        guard let dataType = DataType(tensorFlowType: type) else { throw .unsupportedTensorFlowType(type) }
        let shape = try shape(value)
        if dataType == .string { return try strings(value, shape) }
        let source = UnsafeRawBufferPointer(
            start: Tf_TensorData(functions, value), count: Tf_TensorByteSize(functions, value))
        do throws(TensorError) {
            return try Tensor(dataType, shape) { bytes throws(TensorError) in
                guard source.count == bytes.count else { throw .blobLengthMismatch }
                bytes.copyMemory(from: source)
            }
        } catch {
            throw .tensorTooLarge
        }
    }

    private func shape(_ value: OpaquePointer) throws(InferenceError) -> Shape {
        let rank = Tf_NumDims(functions, value)
        guard (0...Int32(Shape.rankLimit)).contains(rank) else { throw .unsupportedRank }
        var shape = Shape()
        for index in 0..<rank { shape.append(Int(Tf_Dim(functions, value, index))) }
        return shape
    }

    private func strings(_ value: OpaquePointer, _ shape: Shape) throws(InferenceError) -> Tensor {
        let count = shape.elementCount ?? 0
        let capacity = Tf_TensorByteSize(functions, value) / MemoryLayout<TF_TString>.stride
        let start = Tf_TensorData(functions, value)?.assumingMemoryBound(to: TF_TString.self)
        guard count <= capacity else { throw .tensorTooLarge }
        do throws(TensorError) {
            return try Tensor(strings: 0..<count, shape) { index, body in
                guard let start else { return }
                let element = UnsafePointer(start + index)
                body(
                    UnsafeRawBufferPointer(
                        start: Tf_StringGetDataPointer(functions, element),
                        count: Tf_StringGetSize(functions, element)))
            }
        } catch {
            throw error == .stringContainsNull ? .stringContainsNull : .tensorTooLarge
        }
    }
}
