/// Bytes that somebody else owns and that do not change.
public protocol ByteSource: AnyObject, Sendable {
    var byteCount: Int { get }
    func withBytes<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result
}

/// A model's serialised bytes as they came: one chunk, or several when the model is larger than one argument may be.
public struct ModelBlob: Sendable {
    public let chunks: [any ByteSource]
    public let byteCount: Int

    public init(_ chunks: [any ByteSource]) {
        self.chunks = chunks
        byteCount = chunks.reduce(0) { $0 + $1.byteCount }
    }

    /// Calls `body` with all bytes in one piece; several chunks are joined for the duration of the call.
    public func withContiguousBytes<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        if chunks.count == 1 { return try chunks[0].withBytes(body) }
        let joined = UnsafeMutableRawBufferPointer.allocate(byteCount: byteCount, alignment: 16)
        defer { joined.deallocate() }
        var position = 0
        for chunk in chunks {
            chunk.withBytes { bytes in
                UnsafeMutableRawBufferPointer(rebasing: joined[position...]).copyMemory(from: bytes)
                position += bytes.count
            }
        }
        return try body(UnsafeRawBufferPointer(joined))
    }

    /// Calls `body` with the bytes cut into pieces of `size`: all full but the last, which is never empty unless the
    /// blob is. A piece that lies in one chunk is passed in place.
    public func forEachPiece(of size: Int, _ body: (UnsafeRawBufferPointer) -> Void) {
        guard byteCount > size || chunks.count > 1 else {
            return withContiguousBytes(body)
        }
        withContiguousBytes { bytes in
            var start = 0
            repeat {
                let end = min(start + size, bytes.count)
                body(UnsafeRawBufferPointer(rebasing: bytes[start..<end]))
                start = end
            } while start < bytes.count
        }
    }

    /// The number of pieces that ``forEachPiece(of:_:)`` makes.
    public func pieceCount(of size: Int) -> Int {
        max(1, byteCount / size + (byteCount % size == 0 ? 0 : 1))
    }
}
