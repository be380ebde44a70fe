internal import Inference
internal import Persistence
internal import RedisModuleKit
internal import Tensors

extension CommandContext {
    /// The tensor a key holds.
    func tensor(at key: Argument) throws(CommandError) -> Tensor {
        switch openForReading(key).load(TensorType.valueType) {
        case .missing: throw .tensorMissing
        case .wrongType: throw .wrongType
        case .value(let tensor): return tensor
        }
    }

    /// The model a key holds.
    func model(at key: Argument) throws(CommandError) -> Model {
        switch openForReading(key).load(ModelType.valueType) {
        case .missing: throw .modelMissing
        case .wrongType: throw .wrongType
        case .value(let model): return model
        }
    }

    /// The script a key holds.
    func script(at key: Argument) throws(CommandError) -> Script {
        switch openForReading(key).load(ScriptType.valueType) {
        case .missing: throw .scriptMissing
        case .wrongType: throw .wrongType
        case .value(let script): return script
        }
    }

    /// Whether the caller can be made to wait for an answer: not inside MULTI or a script, nor on the replication link.
    var allowsBlocking: Bool {
        flags.isDisjoint(with: [.transaction, .script, .denyBlocking, .replicated, .loading])
    }

    /// Refuses to write what a blocked command has prepared when the server has become a replica in the meantime.
    func checkWritable() throws(CommandError) {
        if flags.contains(.readOnly) { throw .readOnlyReplica }
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
