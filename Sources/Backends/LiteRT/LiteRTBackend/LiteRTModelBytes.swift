internal import Inference

/// A model's file in one piece, aligned as the engine wants it, for as long as the engine uses it.
final class LiteRTModelBytes: @unchecked Sendable {
    /// Constants are read in place, with instructions that want this alignment.
    private static let alignment = 16
    /// Bytes after the last one that vector instructions may read, and ignore.
    private static let padding = 16

    private let source: (any ByteSource)?
    private let copy: UnsafeMutableRawBufferPointer?

    /// Keeps the blob's own bytes when they can be used as they are, else makes a copy.
    init(_ blob: ModelBlob) {
        if blob.chunks.count == 1, Self.isUsable(blob.chunks[0]) {
            source = blob.chunks[0]
            copy = nil
        } else {
            source = nil
            copy = Self.join(blob.chunks.count, blob.byteCount) { index, append in
                blob.chunks[index].withBytes { append($0) }
            }
        }
    }

    /// Other bytes, with more in front.
    init(_ prefix: [UInt8], before rest: LiteRTModelBytes) throws(InferenceError) {
        source = nil
        copy = try rest.withBytes { rest in
            Self.join(2, prefix.count + rest.count) { index, append in
                if index == 0 { prefix.withUnsafeBytes { append($0) } } else { append(rest) }
            }
        }
    }

    /// Copies pieces, one after the other, to where the engine can use them.
    private static func join(
        _ pieceCount: Int, _ byteCount: Int, _ piece: (Int, (UnsafeRawBufferPointer) -> Void) -> Void
    ) -> UnsafeMutableRawBufferPointer {
        let block = UnsafeMutableRawBufferPointer.allocate(byteCount: byteCount + padding, alignment: alignment)
        var position = 0
        for index in 0..<pieceCount {
            piece(index) { bytes in
                UnsafeMutableRawBufferPointer(rebasing: block[position...]).copyMemory(from: bytes)
                position += bytes.count
            }
        }
        return UnsafeMutableRawBufferPointer(rebasing: block[..<byteCount])
    }

    deinit {
        copy?.deallocate()
    }

    /// Whether the bytes are aligned, and what follows them can be read: it can when it is on the page of the last byte.
    private static func isUsable(_ chunk: any ByteSource) -> Bool {
        chunk.withBytes { bytes in
            guard !bytes.isEmpty else { return false }
            let start = UInt(bitPattern: bytes.baseAddress)
            let end = start + UInt(bytes.count)
            return start % UInt(alignment) == 0 && (end - 1) / pageSize == (end - 1 + UInt(padding)) / pageSize
        }
    }

    private static let pageSize: UInt = 4_096

    /// Bytes held beyond those of the blob.
    var copiedBytes: Int { copy?.count ?? 0 }

    func withBytes<Result>(
        _ body: (UnsafeRawBufferPointer) throws(InferenceError) -> Result
    ) throws(InferenceError) -> Result {
        if let copy { return try body(UnsafeRawBufferPointer(copy)) }
        guard let source else { throw .cannotLoad }
        return try source.withBytes(body)
    }
}
