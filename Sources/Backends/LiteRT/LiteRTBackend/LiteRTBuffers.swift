internal import CLiteRT
internal import Inference
internal import Tensors

/// The engine's view of the inputs and outputs of one run: memory of ours, in place.
struct LiteRTBuffers {
    private let functions: CLiteRtFunctions
    private var handles: [OpaquePointer?] = []
    private var owned: [OpaquePointer?] = []

    init(_ functions: CLiteRtFunctions, capacity: Int) {
        self.functions = functions
        handles.reserveCapacity(capacity)
        owned.reserveCapacity(capacity)
    }

    /// Appends memory whose first byte is at a multiple of 64.
    mutating func append(
        _ dataType: DataType, _ shape: Shape, _ bytes: UnsafeMutableRawBufferPointer
    ) throws(InferenceError) {
        guard var type = LiteRtRankedTensorType(dataType, shape) else { throw .cannotResize }
        var handle: OpaquePointer?
        guard
            functions.CreateTensorBufferFromHostMemory(&type, bytes.baseAddress, bytes.count, nil, &handle)
                == LITERT_OK, let handle
        else { throw .cannotAllocate }
        handles.append(handle)
        owned.append(handle)
    }

    /// Appends the same memory as another place's.
    mutating func append(sameAs handle: OpaquePointer?) {
        handles.append(handle)
    }

    subscript(index: Int) -> OpaquePointer? { handles[index] }

    mutating func withPointers<Result>(_ body: (Int, UnsafeMutablePointer<OpaquePointer?>?) -> Result) -> Result {
        handles.withUnsafeMutableBufferPointer { body($0.count, $0.baseAddress) }
    }

    mutating func release() {
        for handle in owned { functions.DestroyTensorBuffer(handle) }
        owned = []
        handles = []
    }
}

extension LiteRtRankedTensorType {
    /// Nil when the shape has too many dimensions, or too large ones.
    init?(_ dataType: DataType, _ shape: Shape) {
        self.init()
        guard shape.rank <= LITERT_MAX_RANK else { return nil }
        element_type = dataType.liteRTElementType
        // The engine takes no buffer with a dimension of zero in any other form.
        let shape: Shape = shape.elementCount == 0 ? [0] : shape
        layout.rank = UInt32(shape.rank)
        let fits = withUnsafeMutableBytes(of: &layout.dimensions) { bytes in
            let dimensions = bytes.assumingMemoryBound(to: Int32.self)
            for index in 0..<shape.rank {
                guard let dimension = Int32(exactly: shape[index]) else { return false }
                dimensions[index] = dimension
            }
            return true
        }
        if !fits { return nil }
    }
}

extension LiteRtLayout {
    /// The dimensions; nil when there are more than the engine's interface can tell, or one is negative.
    var shape: Shape? {
        guard rank <= LITERT_MAX_RANK else { return nil }
        var shape = Shape()
        let isValid = withUnsafeBytes(of: dimensions) { bytes in
            let dimensions = bytes.assumingMemoryBound(to: Int32.self)
            for index in 0..<Int(rank) {
                guard dimensions[index] >= 0 else { return false }
                shape.append(Int(dimensions[index]))
            }
            return true
        }
        return isValid ? shape : nil
    }
}
