import Tensors
import TestSupport
import Testing

@Suite struct TensorBlobTests {
    private static let numbers = DataType.allCases.filter { $0 != .string }

    @Test(arguments: numbers)
    func `keeps the bytes`(dataType: DataType) throws {
        // 0 and 1 by turns are elements of every type.
        let bytes = (0..<6 * dataType.elementSize).map { UInt8($0 % 2) }
        let tensor = try makeTensor(dataType, [2, 3], bytes: bytes)
        #expect(tensor.dataType == dataType)
        #expect(tensor.shape == [2, 3])
        #expect(tensor.elementCount == 6)
        #expect(tensor.byteCount == bytes.count)
        #expect(tensor.storedBytes == bytes)
    }

    @Test(arguments: numbers, [-1, 1])
    func `refuses a length other than the shape's`(dataType: DataType, difference: Int) {
        let bytes = [UInt8](repeating: 0, count: 6 * dataType.elementSize + difference)
        #expect(throws: TensorError.blobLengthMismatch) { try makeTensor(dataType, [2, 3], bytes: bytes) }
    }

    @Test(arguments: numbers)
    func `a scalar is one element`(dataType: DataType) throws {
        let bytes = [UInt8](repeating: 1, count: dataType.elementSize)
        let tensor = try makeTensor(dataType, [], bytes: bytes)
        #expect(tensor.elementCount == 1)
        #expect(tensor.batchSize == 1)
        #expect(tensor.storedBytes == bytes)
    }

    @Test(arguments: DataType.allCases)
    func `takes no bytes when a dimension is zero`(dataType: DataType) throws {
        let tensor = try Tensor(dataType, [3, 0], blob: UnsafeRawBufferPointer(start: nil, count: 0))
        #expect(tensor.elementCount == 0)
        #expect(tensor.byteCount == 0)
        #expect(tensor.batchSize == 3)
        #expect(throws: TensorError.self) { try makeTensor(dataType, [3, 0], bytes: [0]) }
    }

    @Test(arguments: 0..<9, [2, 0x80, 0xFF] as [UInt8])
    func `refuses a BOOL that is neither 0 nor 1, wherever it stands`(position: Int, byte: UInt8) {
        var bytes = [UInt8](repeating: 1, count: 9)
        bytes[position] = byte
        #expect(throws: TensorError.invalidBool) { try makeTensor(.bool, [3, 3], bytes: bytes) }
    }
}

@Suite struct StringBlobTests {
    @Test(arguments: [
        ("a\0", 1), ("\0", 1), ("one\0two\0", 2), ("\0\0\0", 3), ("\0x\0\0", 3), ("näh\0", 1),
    ])
    func `keeps NUL-terminated elements`(blob: String, count: Int) throws {
        let tensor = try makeTensor(.string, [count], bytes: Array(blob.utf8))
        #expect(tensor.elementCount == count)
        #expect(tensor.storedBytes == Array(blob.utf8))
        let elements = blob.split(separator: "\0", omittingEmptySubsequences: false).dropLast()
        #expect(tensor.strings == elements.map(String.init))
    }

    @Test(arguments: [
        // Not enough, too many, and a last one without its NUL.
        ("", 1), ("a", 1), ("a\0", 2), ("a\0b\0", 1), ("a\0\0", 1), ("a\0b", 1), ("a\0b", 2), ("\0", 0),
    ])
    func `refuses another number of NULs than elements, and an end without NUL`(blob: String, count: Int) {
        #expect(throws: TensorError.stringCountMismatch) {
            try makeTensor(.string, [count], bytes: Array(blob.utf8))
        }
    }

    @Test func `elements may be any bytes but NUL`() throws {
        let element = (1...255).map { UInt8($0) }
        let tensor = try makeTensor(.string, [1], bytes: element + [0])
        tensor.forEachString { #expect($0.elementsEqual(element)) }
    }
}
