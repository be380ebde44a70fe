public import Inference
public import RedisModuleKit

// A model keeps its bytes where they arrived: in the client's argument, or in the buffer the data file was read into.

extension ServerString: ByteSource {}

extension ServerBuffer: ByteSource {}
