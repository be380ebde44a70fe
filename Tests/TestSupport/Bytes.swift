public import Inference

/// Bytes in an array, as a client's argument would hold them.
public final class Bytes: ByteSource {
    private let content: [UInt8]

    public init(_ content: some Sequence<UInt8>) {
        self.content = Array(content)
    }

    public var byteCount: Int { content.count }

    public func withBytes<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        // What `withUnsafeBytes` throws has lost its type.
        let result = content.withUnsafeBytes { bytes in
            Swift.Result { () throws(Failure) in try body(bytes) }
        }
        return try result.get()
    }
}
