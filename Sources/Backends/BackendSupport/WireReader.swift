public import Inference

/// Reads the fields of one protobuf message in order: for looking through models before an engine sees them.
///
/// The wire format is read by hand because the module carries no protobuf library: the engines bring their own.
public struct WireReader {
    public struct Field {
        public let number: Int
        /// Of a varint field.
        public internal(set) var value: UInt64?
        /// Of a length-delimited field.
        public internal(set) var content: UnsafeRawBufferPointer?

        /// The value as the engines' parsers take it for an enumeration: by its low 32 bits.
        public var enumeration: Int32? { value.map { Int32(truncatingIfNeeded: $0) } }
    }

    private let bytes: UnsafeRawBufferPointer
    private var position = 0

    public init(_ bytes: UnsafeRawBufferPointer) {
        self.bytes = bytes
    }

    /// The next field, nil at the end; `error` when the bytes are not a message.
    public mutating func next(orThrow error: InferenceError) throws(InferenceError) -> Field? {
        guard position < bytes.count else { return nil }
        // The engines' parsers read tags as 32 bits: longer ones would be other fields to them than to us.
        guard let tag = varint(), tag <= UInt32.max, tag >> 3 > 0 else { throw error }
        var field = Field(number: Int(tag >> 3))
        switch tag & 7 {
        case 0:
            guard let value = varint() else { throw error }
            field.value = value
        case 1: guard skip(8) else { throw error }
        case 2:
            guard let length = varint().flatMap({ Int(exactly: $0) }), length <= bytes.count - position else {
                throw error
            }
            field.content = UnsafeRawBufferPointer(rebasing: bytes[position..<position + length])
            position += length
        case 5: guard skip(4) else { throw error }
        // Groups are not part of any format read here.
        default: throw error
        }
        return field
    }

    private mutating func skip(_ count: Int) -> Bool {
        guard count <= bytes.count - position else { return false }
        position += count
        return true
    }

    private mutating func varint() -> UInt64? {
        var value: UInt64 = 0
        for shift in stride(from: 0, to: 64, by: 7) {
            guard position < bytes.count else { return nil }
            let byte = bytes[position]
            position += 1
            value |= UInt64(byte & 0x7F) << UInt64(shift)
            if byte & 0x80 == 0 { return value }
        }
        return nil
    }
}
