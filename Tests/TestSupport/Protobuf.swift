/// A protobuf message under construction: just enough of the wire format to write models, well-formed or not.
public struct Protobuf: Sendable {
    public private(set) var bytes: [UInt8] = []

    public init(_ build: (inout Protobuf) -> Void = { _ in }) {
        build(&self)
    }

    public mutating func number(_ field: Int, _ value: Int) {
        tag(field, wireType: 0)
        varint(UInt64(bitPattern: Int64(value)))
    }

    public mutating func content(_ field: Int, _ content: some Collection<UInt8>) {
        tag(field, wireType: 2)
        varint(UInt64(content.count))
        bytes += content
    }

    public mutating func text(_ field: Int, _ text: String) {
        content(field, Array(text.utf8))
    }

    public mutating func message(_ field: Int, _ message: Protobuf) {
        content(field, message.bytes)
    }

    public mutating func message(_ field: Int, _ build: (inout Protobuf) -> Void) {
        message(field, Protobuf(build))
    }

    public mutating func fixed32(_ field: Int, _ value: Float) {
        tag(field, wireType: 5)
        withUnsafeBytes(of: value.bitPattern.littleEndian) { bytes += $0 }
    }

    public mutating func fixed64(_ field: Int, _ value: UInt64) {
        tag(field, wireType: 1)
        withUnsafeBytes(of: value.littleEndian) { bytes += $0 }
    }

    // MARK: Below fields

    public mutating func tag(_ field: Int, wireType: Int) {
        varint(UInt64(field) << 3 | UInt64(wireType))
    }

    /// - Parameter length: bytes to use, more than needed if wanted.
    public mutating func varint(_ value: UInt64, length: Int = 1) {
        var rest = value
        var written = 1
        while rest > 0x7F || written < length {
            bytes.append(UInt8(rest & 0x7F) | 0x80)
            rest >>= 7
            written += 1
        }
        bytes.append(UInt8(rest))
    }

    public mutating func raw(_ content: some Collection<UInt8>) {
        bytes += content
    }
}
