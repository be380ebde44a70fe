public import Inference

/// Bytes in an array, as a client's argument would hold them.
public typealias Bytes = ByteArray
