import Tensors
import TestSupport
import Testing

@Suite struct TensorElementsTests {
    @Test func `integers come in order and with their sign`() throws {
        let small: [Int8] = [.min, -1, 0, .max]
        try #expect(elements(.int8, small) == [.integer(-128), .integer(-1), .integer(0), .integer(127)])
        try #expect(elements(.int16, [Int16.min, .max]) == [.integer(-32_768), .integer(32_767)])
        try #expect(elements(.int32, [Int32.min, .max]) == [.integer(-2_147_483_648), .integer(2_147_483_647)])
        try #expect(elements(.int64, [Int64.min, .max]) == [.integer(.min), .integer(.max)])
    }

    @Test func `unsigned integers have none`() throws {
        try #expect(elements(.uint8, [UInt8.min, .max]) == [.integer(0), .integer(255)])
        try #expect(elements(.uint16, [UInt16.min, .max]) == [.integer(0), .integer(65_535)])
    }

    @Test func `BOOL is 0 or 1`() throws {
        try #expect(elements(.bool, [true, false, true]) == [.integer(1), .integer(0), .integer(1)])
    }

    @Test func `FLOAT is widened, DOUBLE is not changed`() throws {
        try #expect(elements(.float, [Float(0.1), -2]) == [.float(Double(Float(0.1))), .float(-2)])
        try #expect(elements(.double, [0.1, -.infinity]) == [.float(0.1), .float(-.infinity)])
    }

    @Test func `strings come without their NUL`() throws {
        let tensor = try makeTensor(strings: ["one", "", "three"])
        #expect(Seen.elements(of: tensor) == [.string("one"), .string(""), .string("three")])
    }

    @Test(arguments: DataType.allCases)
    func `an empty tensor has none`(dataType: DataType) throws {
        #expect(Seen.elements(of: try Tensor(zeros: dataType, [0, 3])) == [])
    }

    /// An element that can be kept and compared.
    private enum Seen: Equatable {
        case integer(Int64)
        case float(Double)
        case string(String)

        static func elements(of tensor: Tensor) -> [Seen] {
            var elements: [Seen] = []
            tensor.forEachElement { element in
                switch element {
                case .integer(let value): elements.append(.integer(value))
                case .float(let value): elements.append(.float(value))
                case .string(let bytes): elements.append(.string(String(decoding: bytes, as: UTF8.self)))
                }
            }
            return elements
        }
    }

    private func elements<Element: BitwiseCopyable>(_ dataType: DataType, _ values: [Element]) throws -> [Seen] {
        Seen.elements(of: try makeTensor(dataType, values))
    }
}
