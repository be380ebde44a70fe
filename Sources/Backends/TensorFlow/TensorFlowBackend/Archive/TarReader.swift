internal import Inference

/// One header block of a tar file.
struct TarHeader {
    static let size = 512

    private let block: [UInt8]

    /// Nil for a block that is no header.
    init?(_ block: [UInt8]) {
        guard block.count == Self.size else { return nil }
        self.block = block
        // The sum of all bytes, those of the sum itself taken as blanks.
        var sum = 8 * 0x20
        for (index, byte) in block.enumerated() where !(148..<156).contains(index) { sum += Int(byte) }
        guard number(148..<156) == sum else { return nil }
    }

    /// Whether a file begins with a header that has a name.
    static func isHeader(_ start: UnsafeRawBufferPointer) -> Bool {
        guard start.count >= size, start[0] != 0 else { return false }
        return TarHeader(Array(start[..<size])) != nil
    }

    var type: UInt8 { block[156] }
    /// Bytes of the entry; nil for what is no number.
    var size: Int? { number(124..<136) }

    var path: [UInt8] {
        let name = text(0..<100)
        guard block[257..<262].elementsEqual("ustar".utf8), block[262] == 0 else { return name }
        let prefix = text(345..<500)
        return prefix.isEmpty ? name : prefix + [UInt8(ascii: "/")] + name
    }

    private func text(_ range: Range<Int>) -> [UInt8] {
        Array(block[range].prefix { $0 != 0 })
    }

    /// Octal digits between blanks, or, for large numbers, bytes after a first one of 0x80.
    private func number(_ range: Range<Int>) -> Int? {
        let field = block[range]
        if field.first == 0x80 {
            var value = 0
            for byte in field.dropFirst() {
                guard value <= Int.max >> 8 else { return nil }
                value = value << 8 | Int(byte)
            }
            return value
        }
        let digits = field.drop { $0 == 0x20 }.prefix { $0 != 0 && $0 != 0x20 }
        guard digits.allSatisfy({ (0x30...0x37).contains($0) }), digits.count <= 12 else { return nil }
        return digits.reduce(0) { $0 << 3 | Int($1 - 0x30) }
    }
}

/// Reads tar files: ustar, pax, and the long names of GNU.
struct TarReader {
    private let stream: any ArchiveByteStream
    private let sink: any ArchiveSink
    /// Headers that may still come.
    private var headersLeft: Int
    /// What an earlier entry says about the next one.
    private var longPath: [UInt8]?
    private var longSize: Int?

    private static let nameLimit = 64 * 1024

    /// Headers per entry: its own, one with its path, and one with anything.
    private static let headersPerEntry = 3

    private init(_ stream: any ArchiveByteStream, _ limits: ArchiveLimits, _ sink: any ArchiveSink) {
        self.stream = stream
        self.sink = sink
        headersLeft = limits.entries * Self.headersPerEntry
    }

    static func read(
        _ stream: any ArchiveByteStream, _ limits: ArchiveLimits, into sink: any ArchiveSink
    ) throws(InferenceError) {
        var reader = TarReader(stream, limits, sink)
        while try reader.readEntry() {}
    }

    /// Whether there was one.
    private mutating func readEntry() throws(InferenceError) -> Bool {
        let block = try take(TarHeader.size, orEnd: true)
        // A block of zeros ends the archive; so does, for some programs, the end of the file.
        if block.allSatisfy({ $0 == 0 }) { return false }
        headersLeft -= 1
        guard headersLeft >= 0 else { throw .archiveTooManyFiles }
        guard let header = TarHeader(block), let size = header.size else { throw .archiveDamaged }
        switch header.type {
        case UInt8(ascii: "x"): try readExtension(try take(metadata: size))
        case UInt8(ascii: "L"): longPath = Array(try take(metadata: size).prefix { $0 != 0 })
        // Nothing that is said about all entries, or about a link, matters.
        case UInt8(ascii: "g"), UInt8(ascii: "K"): _ = try take(metadata: size)
        case UInt8(ascii: "0"), 0, UInt8(ascii: "5"), UInt8(ascii: "7"):
            let path = longPath ?? header.path
            let isFolder = header.type == UInt8(ascii: "5") || path.last == UInt8(ascii: "/")
            try readContent(path, kind: isFolder ? .folder : .file, size: longSize ?? size)
            (longPath, longSize) = (nil, nil)
        default:
            let path = longPath ?? header.path
            throw .archive("\(String(decoding: path.prefix(200), as: UTF8.self)) is neither file nor folder")
        }
        return true
    }

    private func readContent(_ path: [UInt8], kind: ArchiveEntryKind, size: Int) throws(InferenceError) {
        let isWanted = try sink.begin(path, kind: kind, size: size)
        var rest = size
        while rest > 0 {
            let piece = try stream.next(rest)
            guard !piece.isEmpty else { throw .archiveCutShort }
            if isWanted { try sink.append(piece) }
            rest -= piece.count
        }
        try skipPadding(after: size)
        try sink.end()
    }

    /// Lines `<length> <key>=<value>` of a pax header.
    private mutating func readExtension(_ bytes: [UInt8]) throws(InferenceError) {
        var rest = bytes[...]
        while !rest.isEmpty {
            guard let blank = rest.firstIndex(of: 0x20), let length = Self.decimal(rest[..<blank]),
                length > blank - rest.startIndex + 1, length <= rest.count
            else { throw .archiveDamaged }
            let line = rest[(blank + 1)..<(rest.startIndex + length - 1)]
            rest = rest.dropFirst(length)
            guard let equals = line.firstIndex(of: UInt8(ascii: "=")) else { throw .archiveDamaged }
            let value = line[(equals + 1)...]
            switch String(decoding: line[..<equals], as: UTF8.self) {
            case "path": longPath = Array(value)
            case "size":
                guard let size = Self.decimal(value) else { throw .archiveDamaged }
                longSize = size
            case let key where key.hasPrefix("GNU.sparse."): throw .archive("it has sparse files")
            default: break
            }
        }
    }

    private static func decimal(_ digits: ArraySlice<UInt8>) -> Int? {
        guard (1...18).contains(digits.count), digits.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        return digits.reduce(0) { $0 * 10 + Int($1 - 0x30) }
    }

    // MARK: Blocks

    private func take(metadata size: Int) throws(InferenceError) -> [UInt8] {
        guard size <= Self.nameLimit else { throw .archiveDamaged }
        let bytes = try take(size)
        try skipPadding(after: size)
        return bytes
    }

    /// - Parameter orEnd: whether there may be nothing: then the result is empty.
    private func take(_ count: Int, orEnd: Bool = false) throws(InferenceError) -> [UInt8] {
        var bytes: [UInt8] = []
        while bytes.count < count {
            let piece = try stream.next(count - bytes.count)
            if piece.isEmpty, bytes.isEmpty, orEnd { return [] }
            guard !piece.isEmpty else { throw .archiveCutShort }
            bytes.append(contentsOf: piece)
        }
        return bytes
    }

    private func skipPadding(after size: Int) throws(InferenceError) {
        let excess = size % TarHeader.size
        if excess > 0 { _ = try take(TarHeader.size - excess) }
    }
}
