/// Tensors of one data type put one below the other, along dimension 0: an input of a batch while it forms.
///
/// Used by one thread at a time.
public final class TensorRows {
    private let dataType: DataType
    private let rowShape: Shape
    private var memory: TensorMemory
    private var byteCount = 0
    private var rowCount = 0

    /// Room for `byteCapacity` bytes to begin with; nil when there is no memory.
    public init?(like tensor: Tensor, byteCapacity: Int) {
        guard tensor.shape.rank > 0,
            let memory = TensorMemory(byteCount: min(byteCapacity, tensorSizeLimit), zeroed: false)
        else { return nil }
        dataType = tensor.dataType
        rowShape = tensor.shape
        self.memory = memory
    }

    /// Appends all rows of `tensor`, which differs from the first in dimension 0 at most; false when they would exceed the
    /// limit of a tensor or what can be counted, or there is no memory for them.
    public func append(_ tensor: Tensor) -> Bool {
        let needed = byteCount + tensor.byteCount
        let (rows, overflowed) = rowCount.addingReportingOverflow(tensor.batchSize)
        guard !overflowed, needed <= memory.byteCount || grow(to: needed) else { return false }
        tensor.withBytes { bytes in
            UnsafeMutableRawBufferPointer(rebasing: memory.bytes[byteCount...]).copyMemory(from: bytes)
        }
        byteCount = needed
        rowCount = rows
        return true
    }

    private func grow(to needed: Int) -> Bool {
        guard needed <= tensorSizeLimit,
            let larger = TensorMemory(byteCount: min(max(needed, 2 * memory.byteCount), tensorSizeLimit), zeroed: false)
        else { return false }
        larger.bytes.copyMemory(from: UnsafeRawBufferPointer(rebasing: memory.bytes[..<byteCount]))
        memory = larger
        return true
    }

    /// All rows as one tensor. Afterwards there are none.
    public func takeTensor() -> Tensor? {
        guard var taken = TensorMemory(byteCount: 0, zeroed: false) else { return nil }
        swap(&taken, &memory)
        taken.shorten(to: byteCount)
        let shape = rowShape.withFirst(rowCount)
        (byteCount, rowCount) = (0, 0)
        return Tensor(dataType, shape, adopting: taken)
    }
}

extension Tensor {
    /// Copies of the rows in their order, one tensor for each of `counts`; nil when the tensor has not as many rows as they
    /// are together, or there is no memory for the copies.
    public func split(rows counts: [Int]) -> [Tensor]? {
        guard shape.rank > 0, Self.sum(counts) == shape[0] else { return nil }
        let perRow = shape[0] > 0 ? elementCount / shape[0] : 0
        return withBytes { bytes in
            var parts: [Tensor] = []
            parts.reserveCapacity(counts.count)
            var start = 0
            for count in counts {
                let end = position(after: count * perRow, elementsOf: bytes, from: start)
                let range = UnsafeRawBufferPointer(rebasing: bytes[start..<end])
                guard let part = try? Tensor(dataType, shape.withFirst(count), copying: range) else { return nil }
                parts.append(part)
                start = end
            }
            return parts
        }
    }

    /// Nil when a number is negative, or the sum cannot be counted.
    private static func sum(_ counts: [Int]) -> Int? {
        var sum = 0
        for count in counts {
            let (next, overflowed) = sum.addingReportingOverflow(count)
            guard count >= 0, !overflowed else { return nil }
            sum = next
        }
        return sum
    }

    /// Where the element begins that has `count` elements between it and `start`.
    private func position(after count: Int, elementsOf bytes: UnsafeRawBufferPointer, from start: Int) -> Int {
        guard dataType == .string else { return start + count * dataType.elementSize }
        var position = start
        for _ in 0..<count { position = (bytes[position...].firstIndex(of: 0) ?? bytes.endIndex - 1) + 1 }
        return position
    }
}
