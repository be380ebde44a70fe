internal import CRedisModule

/// A data type of the module: its values are Swift objects, each key owns one reference.
public final class ValueType<Value: AnyObject>: @unchecked Sendable {
    /// Written once, when the module is loaded.
    nonisolated(unsafe) private(set) var handle: OpaquePointer?
    /// What `TYPE` shows: exactly nine characters.
    public let name: String
    /// The keyspace events of storing and of deleting a value; nil where the module does not do that.
    let storeEvent: StaticString
    let deleteEvent: StaticString?

    public init(name: String, storeEvent: StaticString, deleteEvent: StaticString? = nil) {
        self.name = name
        self.storeEvent = storeEvent
        self.deleteEvent = deleteEvent
    }

    /// Registers the type with the server. Returns false when the server refuses it.
    public func register(_ module: ModuleContext, encodingVersion: Int32, callbacks: ValueTypeCallbacks) -> Bool {
        var methods = RedisModuleTypeMethods()
        methods.version = UInt64(RM_TYPE_METHODS_VERSION)
        methods.rdb_load = callbacks.load
        methods.rdb_save = callbacks.save
        methods.aof_rewrite = callbacks.rewrite
        methods.mem_usage = callbacks.memoryUsage
        methods.digest = callbacks.digest
        methods.free_effort = callbacks.freeEffort
        // A copy shares the value: values of the module do not change once stored.
        methods.copy = { _, _, value in
            guard let value else { return nil }
            return Unmanaged<AnyObject>.fromOpaque(value).retain().toOpaque()
        }
        methods.free = { value in
            guard let value else { return }
            Unmanaged<AnyObject>.fromOpaque(value).release()
        }
        handle = RedisModule_CreateDataType(module.raw, name, encodingVersion, &methods)
        return handle != nil
    }
}

/// The server's calls on values of a type. Raw pointers are values as the keys own them: see ``take(_:)``.
public struct ValueTypeCallbacks {
    /// Reads a value; returns an owned reference, or nil when the payload is bad.
    public let load: @convention(c) (OpaquePointer?, Int32) -> UnsafeMutableRawPointer?
    public let save: @convention(c) (OpaquePointer?, UnsafeMutableRawPointer?) -> Void
    /// Writes the command that re-creates a value: file, key, value.
    public let rewrite: @convention(c) (OpaquePointer?, OpaquePointer?, UnsafeMutableRawPointer?) -> Void
    /// Bytes a value takes.
    public let memoryUsage: @convention(c) (UnsafeRawPointer?) -> Int
    public let digest: @convention(c) (OpaquePointer?, UnsafeMutableRawPointer?) -> Void
    /// What freeing costs, in allocations: above 64 UNLINK frees in the background.
    public let freeEffort: @convention(c) (OpaquePointer?, UnsafeRawPointer?) -> Int

    public init(
        load: @escaping @convention(c) (OpaquePointer?, Int32) -> UnsafeMutableRawPointer?,
        save: @escaping @convention(c) (OpaquePointer?, UnsafeMutableRawPointer?) -> Void,
        rewrite: @escaping @convention(c) (OpaquePointer?, OpaquePointer?, UnsafeMutableRawPointer?) -> Void,
        memoryUsage: @escaping @convention(c) (UnsafeRawPointer?) -> Int,
        digest: @escaping @convention(c) (OpaquePointer?, UnsafeMutableRawPointer?) -> Void,
        freeEffort: @escaping @convention(c) (OpaquePointer?, UnsafeRawPointer?) -> Int
    ) {
        self.load = load
        self.save = save
        self.rewrite = rewrite
        self.memoryUsage = memoryUsage
        self.digest = digest
        self.freeEffort = freeEffort
    }

    /// Hands a value over to the server.
    public static func give(_ value: some AnyObject) -> UnsafeMutableRawPointer {
        Unmanaged.passRetained(value).toOpaque()
    }

    /// The value behind a pointer that the server gave; the key keeps its reference.
    public static func borrow<Value: AnyObject>(_ pointer: UnsafeRawPointer, as: Value.Type = Value.self) -> Value {
        Unmanaged<Value>.fromOpaque(pointer).takeUnretainedValue()
    }
}
