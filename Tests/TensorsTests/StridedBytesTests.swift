import Tensors
import TestSupport
import Testing

@Suite struct StridedBytesTests {
    private func tensor(
        _ shape: Shape, _ strides: [Int], offset: Int = 0, of bytes: [UInt8], _ dataType: DataType = .int8
    ) throws -> Tensor {
        try bytes.withUnsafeBytes { try Tensor(dataType, shape, strides: strides, offset: offset, of: $0) }
    }

    private static let readable: [(shape: Shape, strides: [Int], offset: Int, expected: [UInt8])] = [
        ([2, 3], [3, 1], 0, [0, 1, 2, 3, 4, 5]), ([2, 3], [1, 2], 0, [0, 2, 4, 1, 3, 5]),
        ([2], [3], 1, [1, 4]), ([2, 2], [0, 1], 0, [0, 1, 0, 1]), ([], [], 5, [5]),
        ([1, 2, 1], [99, 1, -5], 2, [2, 3]),
        ([0, 7], [1, 1], 3, []),
    ]

    @Test(arguments: readable)
    func `elements are put in the order of the shape`(
        _ value: (shape: Shape, strides: [Int], offset: Int, expected: [UInt8])
    ) throws {
        let tensor = try tensor(value.shape, value.strides, offset: value.offset, of: [0, 1, 2, 3, 4, 5])
        #expect(tensor.shape == value.shape)
        #expect(tensor.storedBytes == value.expected)
    }

    @Test func `in units of elements, from an offset in bytes`() throws {
        let bytes: [UInt8] = [9, 1, 0, 2, 0, 3, 0, 4, 0]
        #expect(try tensor([2], [2], offset: 1, of: bytes, .int16).elements(as: Int16.self) == [1, 3])
    }

    private static let unreadable: [(shape: Shape, strides: [Int], offset: Int)] = [
        ([7], [1], 0), ([5], [1], 0), ([6], [1], 1), ([2], [-1], 0), ([2], [6], 0), ([2, 2], [.max, .max], 0),
        ([3, 2], [.max, 1], 0), ([1_000_000, 1_000_000], [0, 0], 0), ([2], [1, 1], 0), ([2], [], 0), ([1], [1], 7),
        ([1], [1], -1), ([1], [1], .max), ([2, 2], [5, 1], 0),
    ]

    @Test(arguments: unreadable)
    func `what would lie outside, or be more than there is, is refused`(
        _ value: (shape: Shape, strides: [Int], offset: Int)
    ) {
        #expect(throws: TensorError.blobLengthMismatch) {
            try tensor(value.shape, value.strides, offset: value.offset, of: [0, 1, 2, 3, 4, 5])
        }
    }

    @Test func `so are shapes that overflow, and elements that are none`() {
        #expect(throws: TensorError.sizeExceedsLimit) { try tensor([.max, 2], [1, 1], of: []) }
        #expect(throws: TensorError.sizeExceedsLimit) { try tensor([-1], [1], of: []) }
        #expect(throws: TensorError.invalidBool) { try tensor([2], [2], of: [0, 1, 2], .bool) }
    }

    @Test func `every order of dimensions gives the elements that indices give`() throws {
        var random = SeededGenerator(7)
        for _ in 0..<200 {
            let dimensions = (0..<Int.random(in: 1...4, using: &random)).map { _ in
                Int.random(in: 1...4, using: &random)
            }
            let order = Array(dimensions.indices).shuffled(using: &random)
            var strides = [Int](repeating: 0, count: dimensions.count)
            var step = Int.random(in: 1...3, using: &random)
            if dimensions.allSatisfy({ $0 == 1 }) { step = 1 }
            for index in order {
                strides[index] = step
                step *= dimensions[index]
            }
            let bytes = (0..<step).map { UInt8(truncatingIfNeeded: $0) }
            let result = try tensor(Shape(dimensions), strides, of: bytes)
            #expect(result.storedBytes == places(dimensions, strides).map { UInt8(truncatingIfNeeded: $0) })
        }
    }

    private func places(_ dimensions: [Int], _ strides: [Int]) -> [Int] {
        guard let dimension = dimensions.first else { return [0] }
        let inner = places(Array(dimensions.dropFirst()), Array(strides.dropFirst()))
        return (0..<dimension).flatMap { index in inner.map { $0 + index * strides[0] } }
    }
}
