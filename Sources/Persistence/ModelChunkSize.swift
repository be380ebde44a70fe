public import RedisModuleKit

/// Bytes per piece in which a model's blob is written to data files and replies.
public let modelChunkSize = NumericOption(
    "MODEL_CHUNK_SIZE", default: 511 * 1024 * 1024, accepted: 1...Int(Int64.max))
