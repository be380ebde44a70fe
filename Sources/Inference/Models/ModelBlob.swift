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

    /// The first bytes, at most `count`.
    public func start(_ count: Int) -> [UInt8] {
        var start: [UInt8] = []
        for chunk in chunks where start.count < count {
            chunk.withBytes { start += $0.prefix(count - start.count) }
        }
        return start
    }

    /// Calls `body` with the bytes cut into pieces of `size`: all full but the last. A piece that lies in one chunk is
    /// passed in place, one that does not is joined.
    public func forEachPiece(of size: Int, _ body: (UnsafeRawBufferPointer) -> Void) {
        var position = Position()
        for piece in 0..<pieceCount(of: size) {
            let length = min(size, byteCount - piece * size)
            let chunk = chunks.isEmpty ? nil : chunks[position.chunk]
            if let chunk, position.offset + length <= chunk.byteCount {
                chunk.withBytes {
                    body(UnsafeRawBufferPointer(rebasing: $0[position.offset..<position.offset + length]))
                }
                advance(&position, by: length)
            } else {
                withJoinedBytes(from: &position, count: length, body)
            }
        }
    }

    /// A place in the chunks.
    private struct Position {
        var chunk = 0
        var offset = 0
    }

    private func advance(_ position: inout Position, by count: Int) {
        position.offset += count
        while position.chunk + 1 < chunks.count, position.offset >= chunks[position.chunk].byteCount {
            position.offset -= chunks[position.chunk].byteCount
            position.chunk += 1
        }
    }

    private func withJoinedBytes(
        from position: inout Position, count: Int, _ body: (UnsafeRawBufferPointer) -> Void
    ) {
        let joined = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 16)
        defer { joined.deallocate() }
        var filled = 0
        while filled < count {
            let length = chunks[position.chunk].withBytes { bytes in
                let part = UnsafeRawBufferPointer(rebasing: bytes[position.offset...].prefix(count - filled))
                UnsafeMutableRawBufferPointer(rebasing: joined[filled...]).copyMemory(from: part)
                return part.count
            }
            filled += length
            advance(&position, by: length)
        }
        body(UnsafeRawBufferPointer(joined))
    }

    /// The number of pieces that ``forEachPiece(of:_:)`` makes.
    public func pieceCount(of size: Int) -> Int {
        max(1, byteCount / size + (byteCount % size == 0 ? 0 : 1))
    }
}
