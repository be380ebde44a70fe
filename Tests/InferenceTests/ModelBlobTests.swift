import Inference
import TestSupport
import Testing

@Suite struct ModelBlobTests {
    private static let chunkings: [[Int]] = [
        [], [0], [1], [10], [11], [5, 5], [10, 10], [3, 0, 4], [1, 1, 1, 1, 1], [0, 0], [25, 7],
    ]

    /// A blob of bytes that count up, in chunks of `sizes`.
    private func makeBlob(_ sizes: [Int]) -> (blob: ModelBlob, bytes: [UInt8]) {
        let bytes = (0..<sizes.reduce(0, +)).map { UInt8($0) }
        var start = 0
        let chunks = sizes.map { size in
            defer { start += size }
            return Bytes(bytes[start..<start + size])
        }
        return (ModelBlob(chunks), bytes)
    }

    private func pieces(_ blob: ModelBlob, of size: Int) -> [[UInt8]] {
        var pieces: [[UInt8]] = []
        blob.forEachPiece(of: size) { pieces.append(Array($0)) }
        return pieces
    }

    @Test(arguments: chunkings, [0, 1, 5, 11, 100])
    func `the first bytes, in however many chunks`(sizes: [Int], count: Int) {
        let (blob, bytes) = makeBlob(sizes)
        #expect(blob.start(count) == Array(bytes.prefix(count)))
    }

    @Test(arguments: chunkings)
    func `chunks are joined in order`(sizes: [Int]) {
        let (blob, bytes) = makeBlob(sizes)
        #expect(blob.byteCount == bytes.count)
        #expect(blob.withContiguousBytes { Array($0) } == bytes)
    }

    @Test(arguments: chunkings, [1, 3, 5, 10, 64])
    func `pieces hold all bytes, and all but the last are full`(sizes: [Int], pieceSize: Int) {
        let (blob, bytes) = makeBlob(sizes)
        let pieces = pieces(blob, of: pieceSize)
        #expect(Array(pieces.joined()) == bytes)
        #expect(pieces.dropLast().allSatisfy { $0.count == pieceSize })
        #expect(pieces.count == blob.pieceCount(of: pieceSize))
    }

    @Test(arguments: chunkings.filter { $0.reduce(0, +) > 0 }, [1, 3, 5, 10, 64])
    func `the last piece is not empty`(sizes: [Int], pieceSize: Int) throws {
        let last = try #require(pieces(makeBlob(sizes).blob, of: pieceSize).last)
        #expect((1...pieceSize).contains(last.count))
    }

    @Test(arguments: [[], [0], [0, 0]])
    func `an empty blob is one empty piece`(sizes: [Int]) {
        #expect(pieces(makeBlob(sizes).blob, of: 10) == [[]])
    }

    @Test func `a single chunk is passed in place`() {
        let chunk = Bytes(0..<100)
        let address = chunk.withBytes { $0.baseAddress }
        ModelBlob([chunk]).withContiguousBytes { #expect($0.baseAddress == address) }
        var offsets: [Int?] = []
        ModelBlob([chunk]).forEachPiece(of: 40) { piece in
            offsets.append(address.flatMap { start in piece.baseAddress.map { $0 - start } })
        }
        #expect(offsets == [0, 40, 80])
    }

    @Test func `so is a piece that lies in one of several chunks`() {
        let chunks = [Bytes(0..<30), Bytes(30..<70)]
        let starts = chunks.map { $0.withBytes { $0.baseAddress } }
        var addresses: [UnsafeRawPointer?] = []
        ModelBlob(chunks).forEachPiece(of: 20) { addresses.append($0.baseAddress) }
        #expect(addresses.count == 4)
        #expect(addresses[0] == starts[0])
        // The second piece is of both chunks.
        #expect(addresses[2] == starts[1].map { $0 + 10 })
        #expect(addresses[3] == starts[1].map { $0 + 30 })
    }

    @Test func `an error of the reader gets through`() {
        let blob = ModelBlob([Bytes([1]), Bytes([2])])
        #expect(throws: InferenceError("refused")) {
            try blob.withContiguousBytes { _ throws(InferenceError) in throw InferenceError("refused") }
        }
    }
}
