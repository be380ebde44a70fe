internal import CRedisModule

/// What a key holds, seen from one data type.
public enum Stored<Value> {
    case missing
    case wrongType
    case value(Value)
}

/// An open key. Closed when it goes out of scope. Main thread only.
public struct Key: ~Copyable {
    private let raw: OpaquePointer?

    init(context: OpaquePointer, name: OpaquePointer, mode: Int32) {
        raw = RedisModule_OpenKey(context, name, mode)
    }

    deinit {
        if let raw { RedisModule_CloseKey(raw) }
    }

    /// What the key holds.
    public func load<Value>(_ type: ValueType<Value>) -> Stored<Value> {
        let kind = RedisModule_KeyType(raw)
        if kind == RM_KEYTYPE_EMPTY { return .missing }
        guard kind == RM_KEYTYPE_MODULE, RedisModule_ModuleTypeGetType(raw) == type.handle,
            let pointer = RedisModule_ModuleTypeGetValue(raw)
        else { return .wrongType }
        return .value(Unmanaged<Value>.fromOpaque(pointer).takeUnretainedValue())
    }

    /// Whether a value of `type` may be stored here: the key is missing, or holds that type already.
    public func accepts<Value>(_ type: ValueType<Value>) -> Bool {
        if case .wrongType = load(type) { false } else { true }
    }

    /// Stores a value, which the key then owns; whatever the key held is freed and its expiry removed.
    public func store<Value>(_ value: Value, as type: ValueType<Value>) {
        let pointer = Unmanaged.passRetained(value)
        if RedisModule_ModuleTypeSetValue(raw, type.handle, pointer.toOpaque()) != RM_OK {
            pointer.release()
        }
    }

    /// Removes the key.
    public func delete() {
        _ = RedisModule_DeleteKey(raw)
    }
}
