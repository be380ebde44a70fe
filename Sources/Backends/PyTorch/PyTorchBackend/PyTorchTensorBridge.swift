internal import BackendSupport
internal import CPyTorch
internal import Inference
internal import Tensors

extension DataType {
    /// The interface's number for the data type; nil for STRING, which libtorch does not have.
    var torchType: RTDataType? {
        switch self {
        case .float: RT_FLOAT
        case .double: RT_DOUBLE
        case .int8: RT_INT8
        case .int16: RT_INT16
        case .int32: RT_INT32
        case .int64: RT_INT64
        case .uint8: RT_UINT8
        case .uint16: RT_UINT16
        case .bool: RT_BOOL
        case .string: nil
        }
    }

    init?(torchType type: RTDataType) {
        guard let match = DataType.allCases.first(where: { $0.torchType == type }) else { return nil }
        self = match
    }
}

/// The library's view of tensors: their bytes in place.
struct PyTorchViews: ~Copyable {
    private var views: [RTTensor] = []
    private let shapes: UnsafeMutableBufferPointer<Int64>

    /// - Parameter areRetained: whether each view holds a reference to its tensor, for the library to release.
    init(_ tensors: [Tensor], areRetained: Bool) throws(InferenceError) {
        for tensor in tensors where tensor.dataType == .string { throw InferenceError("Unsupported code 7") }
        shapes = .allocate(capacity: max(1, tensors.reduce(0) { $0 + $1.shape.rank }))
        views.reserveCapacity(tensors.count)
        var position = 0
        for tensor in tensors {
            guard let base = shapes.baseAddress, let type = tensor.dataType.torchType else { continue }
            let shape = base + position
            for index in 0..<tensor.shape.rank { (shape + index).initialize(to: Int64(tensor.shape[index])) }
            position += tensor.shape.rank
            let owner = areRetained ? Unmanaged.passRetained(tensor).toOpaque() : nil
            views.append(
                tensor.withBytes {
                    RTTensor(
                        data_type: type, rank: tensor.shape.rank, shape: UnsafePointer(shape), data: $0.baseAddress,
                        byte_count: $0.count, owner: owner)
                })
        }
    }

    deinit {
        shapes.deallocate()
    }

    var count: Int { views.count }

    func withPointer<Result>(_ body: (UnsafePointer<RTTensor>?) -> Result) -> Result {
        views.withUnsafeBufferPointer { body($0.baseAddress) }
    }
}

/// Tensors that a run returned.
struct PyTorchOutputs: ~Copyable {
    private let library: PyTorchLibrary
    private let handle: OpaquePointer

    init(_ library: PyTorchLibrary, _ handle: OpaquePointer) {
        self.library = library
        self.handle = handle
    }

    deinit {
        library.api.pointee.free_tensors(handle)
    }

    /// Copies the tensors.
    func tensors() throws(InferenceError) -> [Tensor?] {
        var tensors: [Tensor?] = []
        for index in 0..<library.api.pointee.tensor_count(handle) {
            var view = RTTensor()
            try library.check(library.api.pointee.tensor_at(handle, index, &view))
            tensors.append(try Tensor(copying: view))
        }
        return tensors
    }
}

extension Tensor {
    /// Copies what the library shows.
    convenience init(copying view: RTTensor) throws(InferenceError) {
        guard let dataType = DataType(torchType: view.data_type) else { throw InferenceError("ERR unsupported dtype") }
        let shape = Shape(UnsafeBufferPointer(start: view.shape, count: view.rank).map { Int($0) })
        do throws(TensorError) {
            try self.init(dataType, shape) { bytes throws(TensorError) in
                guard bytes.count == view.byte_count else { throw .blobLengthMismatch }
                guard let data = view.data, !bytes.isEmpty else { return }
                bytes.copyMemory(from: UnsafeRawBufferPointer(start: data, count: bytes.count))
            }
        } catch {
            throw .tensorTooLarge
        }
    }
}
