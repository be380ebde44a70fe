internal import Inference
internal import Persistence
internal import RedisModuleKit
internal import Tensors

extension Key {
    /// The tensor that the key holds.
    func tensor() throws(CommandError) -> Tensor { try value(TensorType.valueType, missing: .tensorMissing) }

    /// The model that the key holds.
    func model() throws(CommandError) -> Model { try value(ModelType.valueType, missing: .modelMissing) }

    /// The script that the key holds.
    func script() throws(CommandError) -> Script { try value(ScriptType.valueType, missing: .scriptMissing) }

    private func value<Value>(_ type: ValueType<Value>, missing: CommandError) throws(CommandError) -> Value {
        switch load(type) {
        case .missing: throw missing
        case .wrongType: throw .wrongType
        case .value(let value): return value
        }
    }
}

extension CommandContext {
    /// The tensor a key holds.
    func tensor(at key: Argument) throws(CommandError) -> Tensor { try openForReading(key).tensor() }

    /// The model a key holds.
    func model(at key: Argument) throws(CommandError) -> Model { try openForReading(key).model() }

    /// The script a key holds.
    func script(at key: Argument) throws(CommandError) -> Script { try openForReading(key).script() }

    /// Whether the caller can be made to wait for an answer: not inside MULTI or a script, nor on the replication link.
    var allowsBlocking: Bool {
        flags.isDisjoint(with: [.transaction, .script, .denyBlocking, .replicated, .loading])
    }

    /// Refuses to write what a blocked command has prepared when the server has become a replica in the meantime, or has just
    /// begun to prepare for it: too late for ``WritePause`` to keep the command back.
    func checkWritable() throws(CommandError) {
        if flags.contains(.readOnly) { throw .readOnlyReplica }
        if isWritingPaused { throw .writingIsPaused }
    }
}

// MARK: Texts

extension CommandError {
    static let tensorMissing = CommandError("ERR tensor key is empty or in a different shard")
    static let modelMissing = CommandError("ERR model key is empty")
    static let scriptMissing = CommandError("ERR script key is empty")
    static let readOnlyReplica = CommandError("READONLY You can't write against a read only replica.")

    init(_ error: InferenceError) {
        self.init(error.message)
    }
}
