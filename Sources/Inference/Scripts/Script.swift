internal import Tensors

/// A stored script: its source, and its compiled form once that is ready.
public final class Script: Artifact {
    public let definition: ScriptDefinition
    public let statistics = RunStatistics()
    let readiness = Readiness<any LoadedScript>()
    private let retire: @Sendable (RetiredArtifact) -> Void

    /// - Parameter retire: told when the last reference goes, with what the script held.
    init(_ definition: ScriptDefinition, retire: @escaping @Sendable (RetiredArtifact) -> Void) {
        self.definition = definition
        self.retire = retire
    }

    deinit {
        retire(
            RetiredArtifact(
                key: definition.identity.key, object: ObjectIdentifier(self), progress: ObjectIdentifier(readiness),
                loaded: readiness.surrender()))
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

    /// Runs one of the script's functions.
    func run(
        _ call: ScriptCall, _ inputs: [Tensor], outputCount: Int, watch: RunWatch
    ) throws(InferenceError) -> [Tensor?] {
        guard let loaded = readiness.loaded else { throw brokenError }
        let host = ScriptHost(server: call.server, watch: watch)
        return try loaded.run(
            call, inputs: inputs, isEntryPoint: definition.entryPoints.contains(call.function),
            outputCount: outputCount, host: host, watch: watch)
    }
}

/// Which function of a script is called, and with what besides tensors.
public final class ScriptCall: Sendable {
    public let function: String
    public let keys: [[UInt8]]
    public let arguments: [[UInt8]]
    /// What the script can ask of the server.
    let server: any ScriptServer

    /// Keys and arguments end at their first NUL: they become strings of the script's language.
    public init(function: String, keys: [[UInt8]], arguments: [[UInt8]], server: any ScriptServer) {
        self.function = function
        self.keys = keys.map { Array($0.prefix { $0 != 0 }) }
        self.arguments = arguments.map { Array($0.prefix { $0 != 0 }) }
        self.server = server
    }
}
