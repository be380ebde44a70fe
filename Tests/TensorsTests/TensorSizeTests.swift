import Tensors
import TestSupport
import Testing

@Suite struct TensorZerosTests {
    @Test(arguments: DataType.allCases)
    func `are zero bytes`(dataType: DataType) throws {
        let tensor = try Tensor(zeros: dataType, [5, 7])
        #expect(tensor.elementCount == 35)
        #expect(tensor.storedBytes == [UInt8](repeating: 0, count: 35 * dataType.elementSize))
    }

    @Test func `are empty strings`() throws {
        try #expect(Tensor(zeros: .string, [2, 2]).strings == ["", "", "", ""])
    }
}

@Suite(.tensorGlobals) struct TensorSizeLimitTests {
    private static let overflowing: [Shape] = [[Int.max, 2], [4_611_686_018_427_387_905, 4], [-1], [2, -2]]

    @Test(arguments: DataType.allCases)
    func `one element more than fits is refused, before memory is asked for`(dataType: DataType) {
        let shape: Shape = [tensorSizeLimit / dataType.elementSize + 1]
        #expect(throws: TensorError.sizeExceedsLimit) { try Tensor(zeros: dataType, shape) }
        #expect(throws: TensorError.sizeExceedsLimit) { try makeTensor(dataType, shape, bytes: []) }
        #expect(throws: TensorError.sizeExceedsLimit) {
            try Tensor(dataType, shape) { _ in Issue.record("memory was asked for") }
        }
    }

    @Test func `as many elements as fit are accepted`() throws {
        try #expect(Tensor(zeros: .double, [tensorSizeLimit / 8]).byteCount == tensorSizeLimit)
    }

    @Test(arguments: DataType.allCases, overflowing)
    func `a shape without element count is refused`(dataType: DataType, shape: Shape) {
        #expect(throws: TensorError.sizeExceedsLimit) { try Tensor(zeros: dataType, shape) }
        #expect(throws: TensorError.sizeExceedsLimit) { try makeTensor(dataType, shape, bytes: [0, 0, 0, 0]) }
    }

    @Test(arguments: [DataType.int16, .float, .int64])
    func `a byte count that overflows is refused`(dataType: DataType) {
        let shape: Shape = [Int.max / dataType.elementSize + 1]
        #expect(throws: TensorError.sizeExceedsLimit) { try Tensor(zeros: dataType, shape) }
    }

    @Test func `strings that are too long together are refused`() {
        // One piece of memory, offered for element after element.
        let piece = [UInt8](repeating: 0x61, count: tensorSizeLimit / 4)
        #expect(throws: TensorError.sizeExceedsLimit) {
            try Tensor(strings: 0..<4, [4]) { _, body in piece.withUnsafeBytes { body($0) } }
        }
    }

    @Test func `a string blob that is too long is refused as such`() {
        let blob = [UInt8](repeating: 0x61, count: tensorSizeLimit) + [0]
        #expect(throws: TensorError.sizeExceedsLimit) { try makeTensor(.string, [1], bytes: blob) }
    }
}
