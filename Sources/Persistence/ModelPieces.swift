public import Inference
public import RedisModuleKit

/// Bytes per piece in which a model's blob is written to data files and replies.
public let modelChunkSize = NumericOption(
    "MODEL_CHUNK_SIZE", default: 511 * 1024 * 1024, accepted: 1...Int(Int64.max))

extension ModelBlob {
    /// More pieces than a sensible setting makes. A large model in pieces of one byte would be a hundred million values of a
    /// data file, and as many arguments of a command.
    private static let pieceLimit = 16_384

    /// Bytes per piece: as configured, or as many as it takes to stay below the limit of pieces.
    public var pieceSize: Int { max(modelChunkSize.value, (byteCount - 1) / Self.pieceLimit + 1) }
}

/// A model's pieces as a data file has them, on the way to a blob.
///
/// A large piece stays the buffer that it was read into. Small ones are put together: each by itself would take many times
/// its size, and a payload can hold millions of them.
struct GatheredPieces {
    private static let smallSize = 64 << 10
    private static let gatheredSize = 1 << 20

    private var chunks: [any ByteSource] = []
    private var small: [UInt8] = []

    mutating func append(_ piece: ServerBuffer) {
        guard piece.byteCount < Self.smallSize else {
            endGathering()
            chunks.append(piece)
            return
        }
        piece.withBytes { small.append(contentsOf: $0) }
        if small.count >= Self.gatheredSize { endGathering() }
    }

    /// All bytes that were appended.
    consuming func blob() -> ModelBlob {
        endGathering()
        return ModelBlob(chunks)
    }

    private mutating func endGathering() {
        guard !small.isEmpty else { return }
        let gathered: any ByteSource = small.withUnsafeBytes { ServerBuffer(copying: $0) } ?? ByteArray(small)
        chunks.append(gathered)
        small.removeAll(keepingCapacity: true)
    }
}
