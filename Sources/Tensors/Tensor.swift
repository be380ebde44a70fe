/// An immutable tensor: elements of one data type, row-major and contiguous, little-endian.
///
/// Shared by reference: keys, queued requests and engines hold the same bytes.
public final class Tensor: Sendable {
    public let dataType: DataType
    public let shape: Shape
    public let elementCount: Int
    private let memory: TensorMemory

    private init(_ dataType: DataType, _ shape: Shape, _ elementCount: Int, _ memory: consuming TensorMemory) {
        self.dataType = dataType
        self.shape = shape
        self.elementCount = elementCount
        self.memory = memory
    }

    /// Makes a tensor of a fixed-size data type whose bytes `initialize` writes, all of them.
    ///
    /// - Throws: `sizeExceedsLimit`, or what `initialize` throws.
    public convenience init(
        _ dataType: DataType, _ shape: Shape, limit: Int = tensorSizeLimit,
        initializingWith initialize: (UnsafeMutableRawBufferPointer) throws(TensorError) -> Void
    ) throws(TensorError) {
        let (count, byteCount) = try Self.size(dataType, shape, limit)
        guard let memory = TensorMemory(byteCount: byteCount, zeroed: false) else { throw .sizeExceedsLimit }
        try initialize(memory.bytes)
        self.init(dataType, shape, count, memory)
    }

    /// Makes a tensor of zeros: for STRING, of empty strings.
    public convenience init(
        zeros dataType: DataType, _ shape: Shape, limit: Int = tensorSizeLimit
    ) throws(TensorError) {
        let (count, byteCount) = try Self.size(dataType, shape, limit)
        guard let memory = TensorMemory(byteCount: byteCount, zeroed: true) else { throw .sizeExceedsLimit }
        self.init(dataType, shape, count, memory)
    }

    /// Makes a tensor from its stored bytes: elements one after the other, strings each with their NUL.
    ///
    /// - Throws: `blobLengthMismatch`, `invalidBool`, `stringCountMismatch` or `sizeExceedsLimit`.
    public convenience init(
        _ dataType: DataType, _ shape: Shape, limit: Int = tensorSizeLimit, blob: UnsafeRawBufferPointer
    ) throws(TensorError) {
        let (count, byteCount) = try Self.size(dataType, shape, limit)
        guard blob.count <= limit else { throw .sizeExceedsLimit }
        if dataType == .string {
            guard Self.isStringBlob(blob, elements: count) else { throw .stringCountMismatch }
        } else {
            guard blob.count == byteCount else { throw .blobLengthMismatch }
        }
        if dataType == .bool, blob.contains(where: { $0 > 1 }) { throw .invalidBool }
        guard let memory = TensorMemory(byteCount: blob.count, zeroed: false) else { throw .sizeExceedsLimit }
        memory.bytes.copyMemory(from: blob)
        self.init(dataType, shape, count, memory)
    }

    /// Makes a tensor from bytes that are known to fit the shape.
    convenience init(_ dataType: DataType, _ shape: Shape, copying bytes: UnsafeRawBufferPointer) throws(TensorError) {
        let (count, _) = try Self.size(dataType, shape)
        guard let memory = TensorMemory(byteCount: bytes.count, zeroed: false) else { throw .sizeExceedsLimit }
        memory.bytes.copyMemory(from: bytes)
        self.init(dataType, shape, count, memory)
    }

    /// Makes a tensor of memory that holds its bytes already; nil when the shape has too many elements.
    convenience init?(_ dataType: DataType, _ shape: Shape, adopting memory: consuming TensorMemory) {
        guard let (count, _) = try? Self.size(dataType, shape) else { return nil }
        self.init(dataType, shape, count, memory)
    }

    /// Makes a STRING tensor from its elements, given without or with one trailing NUL.
    ///
    /// - Throws: `stringContainsNull`, `stringCountMismatch` when there are not as many elements as the shape has
    ///   places, or `sizeExceedsLimit`.
    public convenience init<Elements: Collection>(
        strings elements: Elements, _ shape: Shape, limit: Int = tensorSizeLimit,
        bytes: (Elements.Element, (UnsafeRawBufferPointer) -> Void) -> Void
    ) throws(TensorError) {
        let (count, _) = try Self.size(.string, shape, limit)
        guard elements.count == count else { throw .stringCountMismatch }
        var total = count
        var isValid = true
        for element in elements {
            bytes(element) { content in
                let content = Self.withoutTerminator(content)
                isValid = isValid && !content.contains(0)
                total += content.count
            }
        }
        guard isValid else { throw .stringContainsNull }
        guard total <= limit, let memory = TensorMemory(byteCount: total, zeroed: true) else {
            throw .sizeExceedsLimit
        }
        var position = 0
        for element in elements {
            bytes(element) { content in
                let content = Self.withoutTerminator(content)
                UnsafeMutableRawBufferPointer(rebasing: memory.bytes[position...]).copyMemory(from: content)
                position += content.count + 1
            }
        }
        self.init(.string, shape, count, memory)
    }

    /// The stored size in bytes.
    public var byteCount: Int { memory.byteCount }

    /// What the tensor takes in memory.
    public var footprint: Int { memory.footprint + Self.objectSize }
    private static let objectSize = MemoryLayout<Shape>.size + 64

    /// Calls `body` with the stored bytes, in place. The first is at a multiple of 64.
    public func withBytes<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try body(UnsafeRawBufferPointer(memory.bytes))
    }

    /// Calls `body` with each element of a STRING tensor in order, without its NUL.
    public func forEachString(_ body: (UnsafeRawBufferPointer) -> Void) {
        withBytes { bytes in
            var start = 0
            for _ in 0..<elementCount {
                let end = bytes[start...].firstIndex(of: 0) ?? bytes.endIndex
                body(UnsafeRawBufferPointer(rebasing: bytes[start..<end]))
                start = min(end + 1, bytes.endIndex)
            }
        }
    }

    /// Dimension 0 as a batch size; 1 for a scalar.
    public var batchSize: Int { shape.rank == 0 ? 1 : shape[0] }
}

// MARK: Sizes

/// The largest tensor in bytes that clients and engines may make. Set once, before other threads run.
///
/// What another server has made, or this one before it was started again, was within the limit then.
nonisolated(unsafe) public var tensorSizeLimit = 512 * 1024 * 1024

extension Tensor {
    /// Elements and bytes of a tensor; for STRING the least number of bytes.
    private static func size(
        _ dataType: DataType, _ shape: Shape, _ limit: Int = tensorSizeLimit
    ) throws(TensorError) -> (count: Int, byteCount: Int) {
        guard let count = shape.elementCount else { throw .sizeExceedsLimit }
        let (byteCount, overflowed) = count.multipliedReportingOverflow(by: dataType.elementSize)
        guard !overflowed, byteCount <= limit else { throw .sizeExceedsLimit }
        return (count, byteCount)
    }

    /// Whether `blob` is `elements` strings, each ending in the only NUL it has.
    private static func isStringBlob(_ blob: UnsafeRawBufferPointer, elements: Int) -> Bool {
        if elements == 0 { return blob.isEmpty }
        guard blob.last == 0 else { return false }
        var count = 0
        for byte in blob where byte == 0 { count += 1 }
        return count == elements
    }

    private static func withoutTerminator(_ content: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        content.last == 0 ? UnsafeRawBufferPointer(rebasing: content.dropLast()) : content
    }
}
