internal import Inference

/// Reads zip files whose entries are stored or deflated.
struct ZipReader {
    private let bytes: UnsafeRawBufferPointer
    private let sink: any ArchiveSink
    private let limits: ArchiveLimits

    static func read(
        _ bytes: UnsafeRawBufferPointer, _ limits: ArchiveLimits, into sink: any ArchiveSink
    ) throws(InferenceError) {
        let reader = ZipReader(bytes: bytes, sink: sink, limits: limits)
        var (position, count) = try reader.findDirectory()
        guard count <= limits.entries else { throw .archiveTooManyFiles }
        while count > 0 {
            let (entry, next) = try reader.entry(at: position)
            try reader.extract(entry)
            position = next
            count -= 1
        }
    }

    private struct Entry {
        let path: [UInt8]
        let isDeflated: Bool
        let checksum: UInt32
        let packedSize: Int
        let size: Int
        let header: Int
    }

    private static let notSupported = InferenceError.archive(
        "it is a zip of a kind that is not supported; use a plain tar")

    // MARK: Directory

    /// Where the directory begins, and how many entries it has. It is found from the file's end.
    private func findDirectory() throws(InferenceError) -> (position: Int, count: Int) {
        let least = 22
        var position = bytes.count - least
        let lowest = max(0, position - Int(UInt16.max))
        while position >= lowest {
            if try number(position, 4) == 0x0605_4B50 {
                let count = try number(position + 10, 2)
                let start = try number(position + 16, 4)
                guard try number(position + 4, 2) == 0, try number(position + 8, 2) == count, start != 0xFFFF_FFFF
                else { throw Self.notSupported }
                return (start, count)
            }
            position -= 1
        }
        throw .archiveCutShort
    }

    private func entry(at position: Int) throws(InferenceError) -> (entry: Entry, next: Int) {
        guard try number(position, 4) == 0x0201_4B50 else { throw .archiveDamaged }
        let flags = try number(position + 8, 2)
        let method = try number(position + 10, 2)
        let nameLength = try number(position + 28, 2)
        let path = try slice(position + 46, nameLength)
        let entry = Entry(
            path: Array(path), isDeflated: method == 8, checksum: UInt32(try number(position + 16, 4)),
            packedSize: try number(position + 20, 4), size: try number(position + 24, 4),
            header: try number(position + 42, 4))
        // Encrypted, of another method, or too large for the fields of this directory.
        guard flags & 1 == 0, method == 0 || method == 8,
            ![entry.packedSize, entry.size, entry.header].contains(0xFFFF_FFFF)
        else { throw Self.notSupported }
        // Made on a Unix system: the file type stands in the upper bits of the attributes.
        if try number(position + 5, 1) == 3 {
            let type = try number(position + 40, 2) & 0xF000
            guard [0, 0x8000, 0x4000].contains(type) else {
                throw .archive("\(String(decoding: path.prefix(200), as: UTF8.self)) is neither file nor folder")
            }
        }
        let next = position + 46 + nameLength + (try number(position + 30, 2)) + (try number(position + 32, 2))
        return (entry, next)
    }

    // MARK: Entries

    private func extract(_ entry: Entry) throws(InferenceError) {
        let isFolder = entry.path.last == UInt8(ascii: "/")
        let isWanted = try sink.begin(entry.path, kind: isFolder ? .folder : .file, size: entry.size)
        let packed = try content(entry)
        if isWanted, !isFolder {
            try entry.isDeflated
                ? copy(InflateStream(packed, .raw), entry) : copy(ArchiveMemoryStream(packed), entry)
        }
        try sink.end()
    }

    /// The entry's bytes as they are stored. Its own header must say the same as the directory.
    private func content(_ entry: Entry) throws(InferenceError) -> UnsafeRawBufferPointer {
        guard try number(entry.header, 4) == 0x0403_4B50 else { throw .archiveDamaged }
        let nameLength = try number(entry.header + 26, 2)
        guard try slice(entry.header + 30, nameLength).elementsEqual(entry.path) else { throw .archiveDamaged }
        let start = entry.header + 30 + nameLength + (try number(entry.header + 28, 2))
        return try slice(start, entry.packedSize)
    }

    private func copy(_ stream: some ArchiveByteStream, _ entry: Entry) throws(InferenceError) {
        var checksum = CRC32()
        var rest = entry.size
        while true {
            // One more than there should be, to see whether there is.
            let piece = try stream.next(rest + 1)
            if piece.isEmpty { break }
            guard piece.count <= rest else { throw .archiveDamaged }
            checksum.append(piece)
            try sink.append(piece)
            rest -= piece.count
        }
        guard rest == 0, checksum.value == entry.checksum else { throw .archiveDamaged }
    }

    // MARK: Bytes

    private func slice(_ position: Int, _ count: Int) throws(InferenceError) -> UnsafeRawBufferPointer {
        guard position >= 0, count >= 0, position <= bytes.count, count <= bytes.count - position else {
            throw .archiveCutShort
        }
        return UnsafeRawBufferPointer(rebasing: bytes[position..<position + count])
    }

    /// A little-endian number of at most four bytes.
    private func number(_ position: Int, _ count: Int) throws(InferenceError) -> Int {
        var value = 0
        for byte in try slice(position, count).reversed() { value = value << 8 | Int(byte) }
        return value
    }
}

/// The checksum of zip files.
struct CRC32 {
    private var state = UInt32.max

    private static let table: [UInt32] = (0..<256).map { index in
        (0..<8).reduce(UInt32(index)) { value, _ in value & 1 == 0 ? value >> 1 : value >> 1 ^ 0xEDB8_8320 }
    }

    mutating func append(_ bytes: UnsafeRawBufferPointer) {
        for byte in bytes { state = state >> 8 ^ Self.table[Int(UInt8(truncatingIfNeeded: state) ^ byte)] }
    }

    var value: UInt32 { ~state }
}
