/// The slot of a key in a cluster, by the rule of the cluster specification: a checksum of the key, or of its hash tag,
/// which is what stands between its first `{` and the next `}`, if that is anything.
enum KeySlot {
    private static let slots = 16384

    static func of(_ key: UnsafeRawBufferPointer) -> Int {
        Int(checksum(hashed(key))) % slots
    }

    private static func hashed(_ key: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        guard let open = key.firstIndex(of: UInt8(ascii: "{")) else { return key }
        let rest = key[(open + 1)...]
        guard let close = rest.firstIndex(of: UInt8(ascii: "}")), close > rest.startIndex else { return key }
        return UnsafeRawBufferPointer(rebasing: rest[..<close])
    }

    /// CRC-16/XMODEM.
    private static func checksum(_ bytes: UnsafeRawBufferPointer) -> UInt16 {
        bytes.reduce(0) { $0 << 8 ^ table[Int(UInt8(truncatingIfNeeded: $0 >> 8) ^ $1)] }
    }

    private static let table = (0..<256).map { byte in
        (0..<8).reduce(UInt16(byte) << 8) { checksum, _ in checksum << 1 ^ (checksum & 0x8000 == 0 ? 0 : 0x1021) }
    }
}

extension Argument {
    /// The slot of the key that the argument names.
    public var slot: Int { withBytes(KeySlot.of) }
}
