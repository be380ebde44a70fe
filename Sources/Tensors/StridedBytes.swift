extension Tensor {
    /// Makes a tensor from elements that lie apart: element `i, j, ...` is at `offset` bytes plus `i * strides[0] + j *
    /// strides[1] + ...` elements. Older data files describe tensors so.
    ///
    /// There must be at least as many bytes as the tensor has: a payload cannot claim a large tensor by strides of zero.
    ///
    /// - Throws: `blobLengthMismatch` when an element would lie outside of `bytes`, or when contiguous elements without an
    ///   offset are not all of them; otherwise as ``init(_:_:blob:)``.
    public convenience init(
        _ dataType: DataType, _ shape: Shape, limit: Int = tensorSizeLimit, strides: [Int], offset: Int,
        of bytes: UnsafeRawBufferPointer
    ) throws(TensorError) {
        guard (0...bytes.count).contains(offset), strides.count == shape.rank else { throw .blobLengthMismatch }
        let source = UnsafeRawBufferPointer(rebasing: bytes[offset...])
        let size = dataType.elementSize
        guard let count = shape.elementCount else { throw .sizeExceedsLimit }
        guard count <= source.count / size else { throw .blobLengthMismatch }
        let layout = StridedLayout(shape, strides)
        let isContiguous = count == 0 || layout.isContiguous
        let packed = UnsafeMutableRawBufferPointer.allocate(byteCount: isContiguous ? 0 : count * size, alignment: 16)
        defer { packed.deallocate() }
        if !isContiguous {
            guard let last = layout.lastElement, last < source.count / size else { throw .blobLengthMismatch }
            layout.gather(count, of: size, from: source, into: packed)
        }
        let inPlace = UnsafeRawBufferPointer(rebasing: source.prefix(offset == 0 ? source.count : count * size))
        try self.init(
            dataType, shape, limit: limit, blob: isContiguous ? inPlace : UnsafeRawBufferPointer(packed))
    }
}

/// Where the elements of a tensor lie, in units of elements.
private struct StridedLayout {
    /// Dimensions with more than one element, outermost first, and their strides.
    private var dimensions: [(count: Int, stride: Int)] = []

    init(_ shape: Shape, _ strides: [Int]) {
        for index in 0..<shape.rank where shape[index] != 1 {
            dimensions.append((shape[index], strides[index]))
        }
    }

    /// Whether the elements lie one after the other, in their order. The dimensions are known not to overflow.
    var isContiguous: Bool {
        var expected = 1
        for dimension in dimensions.reversed() {
            guard dimension.stride == expected else { return false }
            expected *= dimension.count
        }
        return true
    }

    /// The place of the element that is farthest from the first; nil when a stride points backwards, or does not fit.
    var lastElement: Int? {
        var last = 0
        for dimension in dimensions {
            guard dimension.stride >= 0 else { return nil }
            let (distance, isTooFar) = (dimension.count - 1).multipliedReportingOverflow(by: dimension.stride)
            let (sum, overflowed) = last.addingReportingOverflow(distance)
            guard !isTooFar, !overflowed else { return nil }
            last = sum
        }
        return last
    }

    /// Copies `count` elements of `size` bytes in their order.
    func gather(
        _ count: Int, of size: Int, from source: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer
    ) {
        var indices = [Int](repeating: 0, count: dimensions.count)
        var place = 0
        for element in 0..<count {
            UnsafeMutableRawBufferPointer(rebasing: target[(element * size)...])
                .copyMemory(from: UnsafeRawBufferPointer(rebasing: source[(place * size)..<(place + 1) * size]))
            for dimension in dimensions.indices.reversed() {
                place += dimensions[dimension].stride
                indices[dimension] += 1
                if indices[dimension] < dimensions[dimension].count { break }
                place -= dimensions[dimension].stride * dimensions[dimension].count
                indices[dimension] = 0
            }
        }
    }
}
