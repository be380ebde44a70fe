internal import Tensors

/// A stored model: what the client gave, and the engine's form of it once that is ready.
public final class Model: Artifact {
    public let definition: ModelDefinition
    public let statistics = RunStatistics()
    let costs = RunCosts()
    /// Of runs that serve several requests.
    let batchCosts = RunCosts()
    let readiness: Readiness<any LoadedModel>
    private let contentCharge: EngineMemory.ContentCharge
    private let retire: @Sendable (RetiredArtifact) -> Void

    /// - Parameter retire: told when the last reference goes: with what the model held, which is not to be freed in
    ///   whatever thread that happens to be.
    init(_ definition: ModelDefinition, retire: @escaping @Sendable (RetiredArtifact) -> Void) {
        self.definition = definition
        self.retire = retire
        readiness = Readiness(engine: definition.backend.name)
        contentCharge = EngineMemory.ContentCharge(definition.blob.byteCount)
    }

    deinit {
        retire(
            RetiredArtifact(
                key: definition.key, object: ObjectIdentifier(self), progress: ObjectIdentifier(readiness),
                loaded: readiness.surrender(), content: definition.blob))
    }

    public var identity: ArtifactIdentity { definition.identity }
    public var phase: ArtifactPhase { readiness.phase }
    public var progress: any ArtifactProgress { readiness }
    public var readyQueue: DeviceQueue? { readiness.queue }
    public var waiterCount: Int { readiness.waiterCount }

    public func whenLoaded(_ body: @escaping @Sendable () -> Void) {
        readiness.whenLoaded(body)
    }

    public func quarantine() {
        readiness.quarantine()
    }

    /// The engine's form; nil while the model is loading or when it is broken.
    public var loaded: (any LoadedModel)? { readiness.loaded }

    public var inputNames: [String] { readiness.built?.inputNames ?? definition.inputNames }
    public var outputNames: [String] { readiness.built?.outputNames ?? definition.outputNames }
    /// Bytes that the engine holds for the model.
    public var engineMemoryUsage: Int { readiness.built?.memoryUsage ?? 0 }

    /// Runs the model. The counts are checked here because they were not known when a request for a loading model
    /// was accepted.
    func run(_ inputs: [Tensor], outputCount: Int, watch: RunWatch) throws(InferenceError) -> [Tensor?] {
        guard let loaded else { throw brokenError }
        guard inputs.count == loaded.inputCount else { throw .wrongInputCount }
        guard outputCount == loaded.outputCount else { throw .wrongOutputCount }
        let outputs = try loaded.run(inputs, watch: watch)
        guard outputs.count == outputCount else { throw .unexpectedOutputCount }
        return outputs
    }
}
