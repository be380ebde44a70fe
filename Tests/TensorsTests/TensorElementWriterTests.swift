import Tensors
import TestSupport
import Testing

@Suite struct TensorElementWriterTests {
    static let integerRanges: [(DataType, ClosedRange<Int>)] = [
        (.int8, -128...127), (.int16, -32_768...32_767), (.int32, -2_147_483_648...2_147_483_647),
        (.int64, .min ... .max), (.uint8, 0...255), (.uint16, 0...65_535), (.bool, 0...1),
    ]
    private static let integers = integerRanges.map(\.0)
    private static let fractions: [DataType] = [.float, .double]

    @Test(arguments: integerRanges)
    func `takes both ends of an integer type's range`(dataType: DataType, range: ClosedRange<Int>) throws {
        let values = [range.lowerBound, range.upperBound]
        try #expect(write(values, as: dataType).integers == values)
    }

    @Test(arguments: integerRanges.filter { $0.0 != .int64 })
    func `refuses what is next to either end`(dataType: DataType, range: ClosedRange<Int>) {
        for value in [range.lowerBound - 1, range.upperBound + 1, .min, .max] {
            #expect(throws: TensorError.invalidValue, "\(value)") { try write([value], as: dataType) }
        }
    }

    @Test(arguments: integers)
    func `refuses a number that may have a fraction for an integer`(dataType: DataType) {
        #expect(throws: TensorError.invalidValue) { try write([1.5], as: dataType) }
        #expect(throws: TensorError.invalidValue) { try write([1.0], as: dataType) }
    }

    @Test(arguments: [DataType.float, .double, .string])
    func `refuses an integer for other types`(dataType: DataType) {
        #expect(throws: TensorError.invalidValue) { try write([1], as: dataType) }
    }

    @Test func `refuses a number for a string`() {
        #expect(throws: TensorError.invalidValue) { try write([1.0], as: .string) }
    }

    @Test(arguments: [
        0.0, -0.0, 0.1, -1.5, .greatestFiniteMagnitude, .leastNonzeroMagnitude, .infinity, -.infinity,
    ])
    func `keeps a DOUBLE exactly`(value: Double) throws {
        let stored = try write([value], as: .double).elements(as: Double.self)
        #expect(stored.map(\.bitPattern) == [value.bitPattern])
    }

    @Test(arguments: [
        (0.1, Float(0.1)), (-2.5, -2.5), (Double(Float.greatestFiniteMagnitude), .greatestFiniteMagnitude),
    ])
    func `narrows to FLOAT`(value: Double, stored: Float) throws {
        try #expect(write([value], as: .float).elements(as: Float.self) == [stored])
    }

    @Test(arguments: fractions)
    func `keeps NaN`(dataType: DataType) throws {
        try write([Double.nan], as: dataType).forEachElement { element in
            guard case .float(let value) = element else { return #expect(Bool(false), "\(element)") }
            #expect(value.isNaN)
        }
    }

    @Test(arguments: DataType.allCases)
    func `says which types take fractions`(dataType: DataType) {
        var byte: UInt8 = 0
        withUnsafeMutableBytes(of: &byte) { bytes in
            #expect(TensorElementWriter(dataType, into: bytes).takesFractions == Self.fractions.contains(dataType))
        }
    }

    @Test func `writes elements one after the other`() throws {
        try #expect(write([1, 2, 3], as: .uint16).storedBytes == [1, 0, 2, 0, 3, 0])
        try #expect(write([1, -2], as: .int32).storedBytes == [1, 0, 0, 0, 0xFE, 0xFF, 0xFF, 0xFF])
    }

    // MARK: Helpers

    @discardableResult
    private func write(_ values: [Int], as dataType: DataType) throws -> Tensor {
        try Tensor(dataType, [values.count]) { bytes throws(TensorError) in
            var writer = TensorElementWriter(dataType, into: bytes)
            for value in values { try writer.append(value) }
        }
    }

    @discardableResult
    private func write(_ values: [Double], as dataType: DataType) throws -> Tensor {
        try Tensor(dataType, [values.count]) { bytes throws(TensorError) in
            var writer = TensorElementWriter(dataType, into: bytes)
            for value in values { try writer.append(value) }
        }
    }
}

extension Tensor {
    /// The elements as clients see them, when all of them are integers.
    fileprivate var integers: [Int] {
        var integers: [Int] = []
        forEachElement { if case .integer(let value) = $0 { integers.append(Int(value)) } }
        return integers
    }
}
