/// The file of a TorchScript module with one tensor-free class: a zip archive of stored entries.
struct TorchArchive {
    private struct Entry {
        let name: [UInt8]
        let checksum: UInt32
        let count: Int
        let offset: Int
    }

    private var content: [UInt8] = []
    private var entries: [Entry] = []

    /// - Parameter methods: what the class has besides the attributes of every module, indented by two blanks.
    static func module(_ methods: String) -> [UInt8] {
        var archive = TorchArchive()
        archive.add("data.pkl", pickledModule)
        archive.add(
            "code/__torch__.py",
            Array(
                """
                class M(Module):
                  __parameters__ = []
                  __buffers__ = []
                  training : bool
                  _is_full_backward_hook : Optional[bool]
                \(methods)

                """.utf8))
        // An empty tuple.
        archive.add("constants.pkl", [0x80, 2, 0x29, 0x2E])
        archive.add("version", Array("3\n".utf8))
        return archive.bytes
    }

    /// `M()` with its two attributes set: protocol 2, a class, a new object, a dictionary, build, stop.
    private static let pickledModule: [UInt8] =
        [0x80, 2] + Array("c__torch__\nM\n".utf8) + [0x29, 0x81, 0x7D, 0x28]
        + text("training") + [0x89] + text("_is_full_backward_hook") + [0x4E] + [0x75, 0x62, 0x2E]

    private static func text(_ text: String) -> [UInt8] {
        [0x58] + bytes(UInt32(text.utf8.count)) + Array(text.utf8)
    }

    private mutating func add(_ name: String, _ data: [UInt8]) {
        let entry = Entry(
            name: Array("archive/\(name)".utf8), checksum: Self.checksum(data), count: data.count, offset: content.count
        )
        content += Self.bytes(0x0403_4B50 as UInt32) + Self.header(of: entry) + entry.name + data
        entries.append(entry)
    }

    private var bytes: [UInt8] {
        var directory: [UInt8] = []
        for entry in entries {
            directory += Self.bytes(0x0201_4B50 as UInt32) + Self.bytes(20 as UInt16) + Self.header(of: entry)
            // No comment, disk 0, no attributes.
            directory += [UInt8](repeating: 0, count: 10) + Self.bytes(UInt32(entry.offset)) + entry.name
        }
        let count = Self.bytes(UInt16(entries.count))
        return content + directory + Self.bytes(0x0605_4B50 as UInt32) + [0, 0, 0, 0] + count + count
            + Self.bytes(UInt32(directory.count)) + Self.bytes(UInt32(content.count)) + [0, 0]
    }

    /// What an entry's two headers have in common: version, flags, method, time, checksum, sizes, length of the name.
    private static func header(of entry: Entry) -> [UInt8] {
        bytes(20 as UInt16) + [UInt8](repeating: 0, count: 8) + bytes(entry.checksum) + bytes(UInt32(entry.count))
            + bytes(UInt32(entry.count)) + bytes(UInt16(entry.name.count)) + [0, 0]
    }

    private static func bytes<Number: FixedWidthInteger>(_ number: Number) -> [UInt8] {
        withUnsafeBytes(of: number.littleEndian) { Array($0) }
    }

    private static func checksum(_ data: [UInt8]) -> UInt32 {
        var checksum = UInt32.max
        for byte in data {
            checksum ^= UInt32(byte)
            for _ in 0..<8 { checksum = checksum & 1 == 1 ? checksum >> 1 ^ 0xEDB8_8320 : checksum >> 1 }
        }
        return ~checksum
    }
}
