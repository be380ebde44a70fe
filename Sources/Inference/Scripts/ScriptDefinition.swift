/// Everything a client says about a script when storing it.
public struct ScriptDefinition: Sendable {
    public let identity: ArtifactIdentity
    /// Functions that take tensors, keys and arguments; others are called by their signatures.
    public let entryPoints: [String]
    /// The text, without a NUL.
    public let source: [UInt8]

    /// Bytes that a script may have: it is kept, checked and sent as one piece.
    public static let sizeLimit = 16 * 1024 * 1024

    /// - Parameter source: ends at its first NUL, as it did where scripts were C strings.
    public init(
        key: [UInt8], backend: BackendDescription, device: Device, tag: [UInt8], entryPoints: [String],
        source: some Sequence<UInt8>
    ) {
        identity = ArtifactIdentity(kind: .script, key: key, backend: backend, device: device, tag: tag)
        self.entryPoints = entryPoints
        self.source = Array(source.prefix { $0 != 0 })
    }
}
