internal import CRedisModule

/// The server as a command sees it while it runs on the main thread.
///
/// Not `Sendable` on purpose: a worker must never hold one.
public struct CommandContext {
    let raw: OpaquePointer

    init(raw: OpaquePointer) {
        self.raw = raw
    }

    /// Opens a key for reading. Missing keys are not created.
    public func openForReading(_ name: Argument) -> Key {
        Key(context: raw, name: name.raw, mode: RM_READ)
    }

    /// Opens a key for reading and writing.
    public func openForWriting(_ name: Argument) -> Key {
        Key(context: raw, name: name.raw, mode: RM_WRITE)
    }

    /// Opens a key whose name was kept from an earlier command.
    public func openForWriting(_ name: ServerString) -> Key {
        Key(context: raw, name: name.raw, mode: RM_WRITE)
    }

    /// Sends the running command, as the client typed it, to replicas and the append-only file.
    public func replicateVerbatim() {
        _ = RedisModule_ReplicateVerbatim(raw)
    }

    /// Sends a command of our own making to replicas and the append-only file.
    public func replicate(_ command: StaticString, _ arguments: borrowing CommandLine) {
        arguments.withPointers { pointers, count in
            _ = command.withCString { RedisModule_ReplicateVector(raw, $0, pointers, count) }
        }
    }

    /// The circumstances in which the command runs.
    public var flags: ContextFlags {
        ContextFlags(rawValue: RedisModule_GetContextFlags(raw))
    }
}

/// The circumstances in which a command runs.
public struct ContextFlags: OptionSet, Sendable {
    public let rawValue: Int32

    public init(rawValue: Int32) {
        self.rawValue = rawValue
    }

    /// Inside MULTI/EXEC.
    public static let transaction = ContextFlags(rawValue: RM_CONTEXT_MULTI)
    /// Called by a Lua script or function.
    public static let script = ContextFlags(rawValue: RM_CONTEXT_LUA)
    /// The caller cannot be blocked, whatever the reason.
    public static let denyBlocking = ContextFlags(rawValue: RM_CONTEXT_DENY_BLOCKING)
    /// The command came over the replication link.
    public static let replicated = ContextFlags(rawValue: RM_CONTEXT_REPLICATED)
    /// The server is loading its data file.
    public static let loading = ContextFlags(rawValue: RM_CONTEXT_LOADING)
    /// The server is a node of a cluster.
    public static let cluster = ContextFlags(rawValue: RM_CONTEXT_CLUSTER)
    /// The server is a read-only replica.
    public static let readOnly = ContextFlags(rawValue: RM_CONTEXT_READONLY)
}

extension StaticString {
    /// The text as a C string: literals end with a NUL.
    @usableFromInline
    func withCString<Result>(_ body: (UnsafePointer<CChar>) -> Result) -> Result {
        body(UnsafeRawPointer(utf8Start).assumingMemoryBound(to: CChar.self))
    }
}
