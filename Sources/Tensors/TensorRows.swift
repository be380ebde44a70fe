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
    /// A copy of `count` rows from row `start` on; nil when the tensor has no such rows, or there is no memory for them.
    public func rows(from start: Int, count: Int) -> Tensor? {
        guard shape.rank > 0, start >= 0, count >= 0, start <= shape[0], count <= shape[0] - start else { return nil }
        return withBytes { bytes in
            let range = byteRange(ofRows: start..<start + count, in: bytes)
            return try? Tensor(
                dataType, shape.withFirst(count), copying: UnsafeRawBufferPointer(rebasing: bytes[range]))
        }
    }

    private func byteRange(ofRows rows: Range<Int>, in bytes: UnsafeRawBufferPointer) -> Range<Int> {
        guard !rows.isEmpty else { return 0..<0 }
        let perRow = elementCount / shape[0]
        guard dataType == .string else {
            let rowSize = perRow * dataType.elementSize
            return rows.lowerBound * rowSize..<rows.upperBound * rowSize
        }
        let start = Self.position(after: rows.lowerBound * perRow, stringsIn: bytes, from: 0)
        return start..<Self.position(after: rows.count * perRow, stringsIn: bytes, from: start)
    }

    /// Where the string begins that has `count` strings between it and `start`.
    private static func position(after count: Int, stringsIn bytes: UnsafeRawBufferPointer, from start: Int) -> Int {
        var position = start
        for _ in 0..<count { position = (bytes[position...].firstIndex(of: 0) ?? bytes.endIndex - 1) + 1 }
        return position
    }
}
