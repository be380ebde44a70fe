internal import Inference
internal import RedisModuleKit

/// How a model or script that a client sends becomes the value of a key.
///
/// It is built in the background; the client is answered when it is ready, and the key changes then. Where a client cannot
/// wait (MULTI, scripts, replication, the append-only file), the key changes at once, holding what is still loading.
struct ArtifactStore<Stored: Artifact> {
    let type: ValueType<Stored>
    /// A command that stores such a value.
    let command: StaticString
    /// Makes the artifact and has it built; the argument is called when it is ready or broken.
    let make: (_ completion: (@Sendable () -> Void)?) -> Stored
    /// Called when a client's command has been carried out for the last time.
    var onStored: (Stored) -> Void = { _ in }

    /// Answers the command that `context` runs.
    func reply(_ context: CommandContext, key: Argument, _ identity: ArtifactIdentity) throws(CommandError) -> Reply {
        if context.flags.isDisjoint(with: [.replicated, .loading]) {
            do throws(InferenceError) {
                try InferenceEngine.shared.checkCanLoad(identity)
            } catch {
                throw CommandError(error)
            }
        }
        guard context.allowsBlocking else {
            guard context.openForReading(key).accepts(type) else { throw .wrongType }
            put(make(nil), in: context.openForWriting(key))
            context.replicateVerbatim()
            return .ok
        }
        let operation = PendingStore(self, key: ServerString(holding: key))
        let reply = context.block(on: operation)
        operation.artifact = make { operation.complete() }
        return reply
    }

    fileprivate func put(_ artifact: Stored, in key: consuming Key) {
        key.store(artifact, as: type)
        InferenceEngine.shared.directory.add(artifact)
    }
}

/// A store command whose artifact is being built.
private final class PendingStore<Stored: Artifact>: BlockedOperation, @unchecked Sendable {
    private let store: ArtifactStore<Stored>
    private let key: ServerString
    /// Set on the main thread before it reads the answer there.
    var artifact: Stored?

    init(_ store: ArtifactStore<Stored>, key: ServerString) {
        self.store = store
        self.key = key
    }

    // What nobody waits for any more must not keep others from being built.
    override var isCancelledByDisconnect: Bool { true }

    override var changesKeys: Bool { true }

    override func clientDidLeave() {
        artifact = nil
    }

    override func finish(_ context: CommandContext) throws(CommandError) -> Reply {
        // The loader thread may hold the operation a moment longer: not the artifact through it.
        guard let artifact = artifact.take() else { throw CommandError("ERR Generic error") }
        if case .broken(let error) = artifact.phase { throw CommandError(error) }
        try context.checkWritable()
        try context.checkOwnership(of: key, by: store.command)
        let key = context.openForWriting(key)
        guard key.accepts(store.type) else { throw .wrongType }
        store.put(artifact, in: key)
        context.replicateVerbatim()
        store.onStored(artifact)
        return .ok
    }
}
