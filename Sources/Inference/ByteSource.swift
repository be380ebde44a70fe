/// Bytes that somebody else owns and that do not change.
public protocol ByteSource: AnyObject, Sendable {
    var byteCount: Int { get }
    func withBytes<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result
}

/// Bytes in an array.
public final class ByteArray: ByteSource {
    private let bytes: [UInt8]
    public var byteCount: Int { bytes.count }

    public init(_ bytes: some Sequence<UInt8>) {
        self.bytes = Array(bytes)
    }

    public func withBytes<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        // What `withUnsafeBytes` throws has lost its type.
        try bytes.withUnsafeBytes { bytes in Swift.Result { () throws(Failure) in try body(bytes) } }.get()
    }
}
