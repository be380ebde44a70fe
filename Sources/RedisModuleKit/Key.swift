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
    private let context: OpaquePointer
    private let name: OpaquePointer

    init(context: OpaquePointer, name: OpaquePointer, mode: Int32) {
        self.context = context
        self.name = name
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

    /// Stores a value, which the key then owns; whatever the key held is freed and its expiry removed. Those who listen to
    /// the keyspace are told.
    public consuming func store<Value>(_ value: Value, as type: ValueType<Value>) {
        let pointer = Unmanaged.passRetained(value)
        guard RedisModule_ModuleTypeSetValue(raw, type.handle, pointer.toOpaque()) == RM_OK else {
            return pointer.release()
        }
        close(notifying: type.storeEvent)
    }

    /// Removes the key, which holds a value of `type`. Those who listen to the keyspace are told.
    public consuming func delete<Value>(_ type: ValueType<Value>) {
        guard RedisModule_DeleteKey(raw) == RM_OK else { return }
        close(notifying: type.deleteEvent)
    }

    /// Listeners in the server's process are called at once, and may change the key: it must not be open then.
    private consuming func close(notifying event: StaticString?) {
        let (context, name) = (context, name)
        // The open key had a reference to the name.
        _ = RedisModule_HoldString(nil, name)
        RedisModule_CloseKey(raw)
        discard self
        // What is read from a file has not just happened.
        if let event, RedisModule_GetContextFlags(context) & RM_CONTEXT_LOADING == 0 {
            _ = event.withCString { RedisModule_NotifyKeyspaceEvent(context, RM_NOTIFY_MODULE, $0, name) }
        }
        RedisModule_FreeString(nil, name)
    }
}
