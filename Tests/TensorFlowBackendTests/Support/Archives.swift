import Glibc

@testable import TensorFlowBackend

/// Archives written by hand, well-formed or not.
enum Archives {
    typealias File = (path: String, content: [UInt8])

    // MARK: tar

    static func tar(_ files: [File]) -> [UInt8] {
        files.flatMap { tarEntry($0.path, $0.content) } + [UInt8](repeating: 0, count: 1_024)
    }

    /// - Parameter size: what the header says; by default the truth.
    static func tarEntry(_ path: String, _ content: [UInt8] = [], type: Character = "0", size: Int? = nil) -> [UInt8] {
        var header = [UInt8](repeating: 0, count: 512)
        func put(_ text: String, at offset: Int) {
            for (index, byte) in text.utf8.enumerated() where offset + index < 512 { header[offset + index] = byte }
        }
        put(String(path.utf8.prefix(100)) ?? "", at: 0)
        put("0000644", at: 100)
        put(octal(size ?? content.count, digits: 11), at: 124)
        put(String(type), at: 156)
        put("ustar", at: 257)
        put("00", at: 263)
        put("        ", at: 148)
        put(octal(header.reduce(0) { $0 + Int($1) }, digits: 6), at: 148)
        header[154] = 0
        return header + content + [UInt8](repeating: 0, count: (512 - content.count % 512) % 512)
    }

    private static func octal(_ number: Int, digits: Int) -> String {
        let text = String(number, radix: 8)
        return String(repeating: "0", count: max(0, digits - text.count)) + text
    }

    /// An entry of a pax archive that gives the next one a path.
    static func paxPath(_ path: String) -> [UInt8] {
        let rest = " path=\(path)\n"
        var length = rest.utf8.count + 1
        while "\(length)".count + rest.utf8.count != length { length += 1 }
        return tarEntry("PaxHeader", Array("\(length)\(rest)".utf8), type: "x")
    }

    static func gnuPath(_ path: String) -> [UInt8] {
        tarEntry("././@LongLink", Array(path.utf8) + [0], type: "L")
    }

    // MARK: Compression

    /// A deflate stream that compresses nothing.
    static func deflated(_ content: [UInt8]) -> [UInt8] {
        var bytes: [UInt8] = []
        var rest = content[...]
        repeat {
            let piece = rest.prefix(65_535)
            rest = rest.dropFirst(65_535)
            bytes.append(rest.isEmpty ? 1 : 0)
            bytes += little(piece.count, 2) + little(~piece.count & 0xFFFF, 2)
            bytes += piece
        } while !rest.isEmpty
        return bytes
    }

    static func gzip(_ content: [UInt8]) -> [UInt8] {
        gzip(deflated: deflated(content), checksum(content), count: content.count)
    }

    static func gzip(deflated: [UInt8], _ checksum: UInt32, count: Int) -> [UInt8] {
        [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3] + deflated + little(Int(checksum), 4) + little(count, 4)
    }

    static func checksum(_ content: [UInt8]) -> UInt32 {
        var checksum = CRC32()
        content.withUnsafeBytes { checksum.append($0) }
        return checksum.value
    }

    // MARK: zip

    struct ZipEntry {
        var path: String
        var content: [UInt8]
        var isDeflated = true
        /// What the directory says; by default the truth.
        var size: Int?
        var checksum: UInt32?
        var headerPath: String?
        var mode = 0o100_644
        var flags = 0
        var method: Int?
    }

    static func zip(_ files: [File], isDeflated: Bool = true) -> [UInt8] {
        zip(files.map { ZipEntry(path: $0.path, content: $0.content, isDeflated: isDeflated) })
    }

    static func zip(_ entries: [ZipEntry]) -> [UInt8] {
        var bytes: [UInt8] = []
        var directory: [UInt8] = []
        for entry in entries {
            let packed = entry.isDeflated ? deflated(entry.content) : entry.content
            let facts =
                little(entry.flags, 2) + little(entry.method ?? (entry.isDeflated ? 8 : 0), 2) + little(0, 4)
                + little(Int(entry.checksum ?? checksum(entry.content)), 4) + little(packed.count, 4)
                + little(entry.size ?? entry.content.count, 4)
            directory += little(0x0201_4B50, 4) + little(0x0314, 2) + little(20, 2) + facts
            directory += little(entry.path.utf8.count, 2) + little(0, 2) + little(0, 2) + little(0, 4)
            directory += little(entry.mode << 16, 4) + little(bytes.count, 4) + Array(entry.path.utf8)
            let headerPath = entry.headerPath ?? entry.path
            bytes += little(0x0403_4B50, 4) + little(20, 2) + facts + little(headerPath.utf8.count, 2) + little(0, 2)
            bytes += Array(headerPath.utf8) + packed
        }
        let end =
            little(0x0605_4B50, 4) + little(0, 4) + little(entries.count, 2) + little(entries.count, 2)
            + little(directory.count, 4) + little(bytes.count, 4) + little(0, 2)
        return bytes + directory + end
    }

    private static func little(_ number: Int, _ count: Int) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: number >> ($0 * 8)) }
    }
}
