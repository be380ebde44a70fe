import Inference
import Testing

@testable import BackendSupport

@Suite("WireReader")
struct WireReaderTests {
    private let badMessage = InferenceError("malformed")

    private func fields(_ bytes: [UInt8]) throws -> [(number: Int, value: UInt64?, content: [UInt8]?)] {
        try bytes.withUnsafeBytes { bytes in
            var reader = WireReader(bytes)
            var fields: [(Int, UInt64?, [UInt8]?)] = []
            while let field = try reader.next(orThrow: badMessage) {
                fields.append((field.number, field.value, field.content.map { [UInt8]($0) }))
            }
            return fields
        }
    }

    @Test("reads varints, fixed-size and length-delimited fields in order")
    func kinds() throws {
        let read = try fields([0x08, 0x96, 0x01, 0x12, 2, 7, 8, 0x1D, 1, 2, 3, 4, 0x21, 1, 2, 3, 4, 5, 6, 7, 8])
        #expect(read.map(\.number) == [1, 2, 3, 4])
        #expect(read[0].value == 150)
        #expect(read[1].content == [7, 8])
    }

    @Test(
        "refuses what is not a message",
        arguments: [
            [0x08], [0x08, 0x80], [0x12, 3, 1, 2], [0x1D, 1, 2, 3], [0x21, 1], [0x00, 1], [0x0B], [0x0C],
            [0x12, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F],
            [0x88, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1],
        ] as [[UInt8]])
    func malformed(_ bytes: [UInt8]) {
        #expect(throws: badMessage) { try fields(bytes) }
    }

    @Test("takes an enumeration by its low 32 bits")
    func enumeration() throws {
        let bytes: [UInt8] = [0x08, 0x81, 0x80, 0x80, 0x80, 0x10]
        let field = try bytes.withUnsafeBytes { bytes in
            var reader = WireReader(bytes)
            return try reader.next(orThrow: badMessage)
        }
        #expect(field?.enumeration == 1)
    }
}
