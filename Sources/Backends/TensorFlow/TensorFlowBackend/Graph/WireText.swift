internal import Glibc

/// A name inside a serialised message, compared by its bytes as the library does it. To be used only while the message
/// is there.
struct WireText: Hashable {
    let bytes: UnsafeRawBufferPointer

    init(_ bytes: UnsafeRawBufferPointer) {
        self.bytes = bytes
    }

    static func == (left: WireText, right: WireText) -> Bool {
        guard left.bytes.count == right.bytes.count else { return false }
        guard let left = left.bytes.baseAddress, let start = right.bytes.baseAddress else { return true }
        return memcmp(left, start, right.bytes.count) == 0
    }

    static func == (left: WireText, right: StaticString) -> Bool {
        left == WireText(UnsafeRawBufferPointer(start: right.utf8Start, count: right.utf8CodeUnitCount))
    }

    func hash(into hasher: inout Hasher) {
        hasher.combine(bytes: bytes)
    }

    /// For texts and for looking names up in lists of plain ones.
    var string: String { String(decoding: bytes, as: UTF8.self) }

    /// What stands before the first `separator`, and what follows it.
    func cut(at separator: UInt8) -> (head: WireText, tail: WireText?) {
        guard let index = bytes.firstIndex(of: separator) else { return (self, nil) }
        return (
            WireText(UnsafeRawBufferPointer(rebasing: bytes[..<index])),
            WireText(UnsafeRawBufferPointer(rebasing: bytes[(index + 1)...]))
        )
    }

    /// Without `prefix`; nil when the name does not begin with it.
    func dropping(_ prefix: UInt8) -> WireText? {
        guard bytes.first == prefix else { return nil }
        return WireText(UnsafeRawBufferPointer(rebasing: bytes.dropFirst()))
    }
}
