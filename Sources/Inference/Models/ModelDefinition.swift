/// Everything a client says about a model when storing it.
public struct ModelDefinition: Sendable {
    public let identity: ArtifactIdentity
    public let batching: Batching
    /// Named by the client for engines that need it; else what an earlier load found, until the model is loaded.
    public let inputNames: [String]
    public let outputNames: [String]
    public let blob: ModelBlob

    /// When requests are put together into one run.
    public struct Batching: Sendable, Equatable {
        /// Rows from which a batch is full; 0 for no batching.
        public var size = 0
        /// Rows that a batch waits for.
        public var minimumSize = 0
        /// Milliseconds that a batch waits for its minimum; 0 for ever.
        public var minimumTimeout = 0

        public init() {}
    }

    public init(
        key: [UInt8], backend: BackendDescription, device: Device, tag: [UInt8], batching: Batching,
        inputNames: [String], outputNames: [String], blob: ModelBlob
    ) {
        identity = ArtifactIdentity(kind: .model, key: key, backend: backend, device: device, tag: tag)
        self.batching = batching
        self.inputNames = inputNames
        self.outputNames = outputNames
        self.blob = blob
    }

    /// Whether the names of inputs and outputs are something that only the client can know, because the file has none.
    public var needsNames: Bool {
        guard case .fromClient(let hasNames) = backend.names else { return false }
        return !blob.start(NamesRule.startSize).withUnsafeBytes { hasNames($0) }
    }

    public var key: [UInt8] { identity.key }
    public var backend: BackendDescription { identity.backend }
    public var device: Device { identity.device }
    public var tag: [UInt8] { identity.tag }
}
