internal import CRedisModule
internal import Glibc
internal import Synchronization

/// The server as threads other than the main one reach it: one thread at a time, under the server's lock, while the main
/// thread has nothing to do.
public struct BackgroundServer: Sendable {
    private let database: Int32
    private let caller: Caller
    private static let isClosing = Atomic(false)
    /// Microseconds between two attempts to take the lock: at first, and while the main thread stays busy.
    private static let shortestPause: UInt32 = 20
    private static let longestPause: UInt32 = 500
    /// Microseconds between two attempts to write: each takes the server's lock.
    private static let writeInterval: UInt32 = 5_000
    /// Microseconds for which a thread waits, at least, until it may write: a failover that takes longer has failed.
    private static let writePatience = 30_000_000

    /// Remembers the database that the command's client has selected. Main thread only.
    ///
    /// - Parameter caller: whose rights count for what is done.
    public init(_ context: CommandContext, actingFor caller: Caller) {
        database = RedisModule_GetSelectedDb(context.raw)
        self.caller = caller
    }

    /// No thread gets the server any more. To be called when the main thread is about to wait for other threads, which
    /// would otherwise wait for it.
    public static func close() {
        isClosing.store(true, ordering: .releasing)
    }

    /// Takes the server's lock; false when the server is about to exit.
    ///
    /// The lock is free whenever the main thread waits for events. It is tried rather than waited for: Valkey 9.1 lets go of
    /// it while it exits, inside a command, and dies of a thread that gets it then.
    private static func lock(_ raw: OpaquePointer) -> Bool {
        var pause = shortestPause
        while !isClosing.load(ordering: .acquiring) {
            if RedisModule_ThreadSafeContextTryLock(raw) == RM_OK { return true }
            usleep(pause)
            pause = min(2 * pause, longestPause)
        }
        return false
    }

    /// Runs `body` while no other thread uses the server. Not on the main thread. What `body` changes goes to replicas and
    /// the append-only file.
    public func withLock<Result>(
        _ body: (LockedServer) throws(CommandError) -> Result
    ) throws(CommandError) -> Result {
        guard let raw = RedisModule_GetThreadSafeContext(nil) else { throw CommandError("ERR no context") }
        guard Self.lock(raw) else {
            RedisModule_FreeThreadSafeContext(raw)
            throw CommandError("ERR the server is shutting down")
        }
        defer {
            RedisModule_FreeThreadSafeContext(raw)
            RedisModule_ThreadSafeContextUnlock(raw)
        }
        _ = RedisModule_SelectDb(raw, database)
        guard Self.become(caller, raw) else { throw .callerIsGone }
        return try body(LockedServer(raw: raw, caller: caller))
    }

    /// Makes the context one of the caller's; false when there is no such user any more, or the user is switched off. The
    /// context has a client of its own, which nobody is connected to.
    private static func become(_ caller: Caller, _ raw: OpaquePointer) -> Bool {
        guard case .user(let name) = caller else { return true }
        return name.withUnsafeBytes {
            RedisModule_AuthenticateClientWithACLUser(
                raw, $0.baseAddress?.assumingMemoryBound(to: CChar.self), $0.count, nil, nil, nil) == RM_OK
        }
    }

    /// As ``withLock(_:)``, for a command called `name`: one that changes something waits until it may, which is not while
    /// the server prepares for a failover or keeps its clients' writes back.
    ///
    /// - Throws: what `body` throws, or `TRYAGAIN` when that takes longer than ``writePatience``.
    public func withLock<Result>(
        for name: UnsafeRawBufferPointer, _ body: (LockedServer) throws(CommandError) -> Result
    ) throws(CommandError) -> Result {
        for _ in 0..<(Self.writePatience / Int(Self.writeInterval)) {
            let result = try withLock { server throws(CommandError) -> Result? in
                WritePause.isOn && !server.onlyReads(name) ? nil : try body(server)
            }
            if let result { return result }
            usleep(Self.writeInterval)
        }
        throw .writingIsPaused
    }
}

/// The server while the calling thread holds its lock.
public struct LockedServer {
    let raw: OpaquePointer
    public let caller: Caller

    fileprivate init(raw: OpaquePointer, caller: Caller) {
        self.raw = raw
        self.caller = caller
    }

    /// What the caller may do.
    public var permissions: Permissions { Permissions(caller, in: raw) }

    /// Opens a key for reading.
    public func withKey<Result>(
        _ name: UnsafeRawBufferPointer, _ body: (borrowing Key) throws(CommandError) -> Result
    ) throws(CommandError) -> Result {
        let name = string(name)
        defer { RedisModule_FreeString(nil, name) }
        return try body(Key(context: raw, name: name, mode: RM_READ))
    }

    /// Runs the command made of `words` as the server's scripts run theirs and with the caller's rights, sends it to replicas
    /// and the append-only file, and calls `body` with the answer.
    ///
    /// - Throws: the text of an error reply, or of the reason for which the command is not run.
    public func call(_ words: [UnsafeRawBufferPointer], _ body: (CallReply) -> Void) throws(CommandError) {
        guard let name = words.first else { throw CommandError(Self.text(of: EINVAL)) }
        var strings: [OpaquePointer?] = words.map { string($0) }
        defer { for string in strings { RedisModule_FreeString(nil, string) } }
        try checkSlots(of: &strings)
        let (raw, error) = call(String(decoding: name, as: UTF8.self), &strings)
        guard let raw else { throw CommandError(Self.text(of: error)) }
        let reply = CallReply(raw: raw)
        let errorText = reply.errorText.map { Self.refusal($0, error) ?? $0 }
        if errorText == nil { body(reply) }
        RedisModule_FreeCallReply(raw)
        if let errorText { throw CommandError(errorText) }
    }

    /// Whether the server says of a command that it only reads. Of what does not exist nothing needs to be put off.
    fileprivate func onlyReads(_ name: UnsafeRawBufferPointer) -> Bool {
        var words: [OpaquePointer?] = [RedisModule_CreateString(nil, "INFO", 4), string(name)]
        defer { for word in words { RedisModule_FreeString(nil, word) } }
        var error: Int32 = 0
        let reply = words.withUnsafeMutableBufferPointer {
            RedisModule_CallVector(raw, "COMMAND", "v", $0.baseAddress, $0.count, &error)
        }
        guard let raw = reply else { return false }
        defer { RedisModule_FreeCallReply(raw) }
        // Name, arity, flags and more.
        guard let command = CallReply(raw: raw)[0], let flags = command[2] else { return true }
        return flags.hasElement("readonly") && !flags.hasElement("may_replicate")
    }

    /// The server's reply to `words`, the first of which is `name`, or nil and a number of the system's errors.
    private func call(_ name: String, _ words: inout [OpaquePointer?]) -> (reply: OpaquePointer?, error: Int32) {
        var error: Int32 = 0
        // `!` replicates, `S` refuses what is refused to the server's scripts, such as SHUTDOWN, and `E` has refusals as
        // replies: without it Valkey 9.1 looks for the text of a refusal, and dies. `C` asks the access control list.
        let format = caller == .server ? "!SEv" : "!SECv"
        let reply = words.withUnsafeMutableBufferPointer {
            RedisModule_CallVector(raw, name, format, $0.baseAddress?.advanced(by: 1), $0.count - 1, &error)
        }
        return (reply, error)
    }

    /// Why the server has not run a command, in the words of ``text(of:)``; nil for an error of a command that ran, which may
    /// have left a number behind as well.
    private static func refusal(_ reply: String, _ error: Int32) -> String? {
        switch error {
        case ENOENT where reply.hasPrefix("ERR unknown "),
            EINVAL where reply.hasPrefix("ERR wrong number of arguments"),
            ESPIPE where reply.contains("not allowed"), ENOSPC where reply.hasPrefix("OOM "):
            text(of: error)
        // Redis 7.0. Later ones say NOPERM themselves.
        case EACCES where reply.hasPrefix("ERR acl verification failed"):
            "NOPERM" + reply.dropFirst("ERR".count)
        default: nil
        }
    }

    /// The system's text, as RedisAI 1.x gave it, but for what the system has no words for.
    private static func text(of error: Int32) -> String {
        switch error {
        case ESPIPE: "the command is not allowed in scripts"
        case ENOSPC: "OOM command not allowed when used memory > 'maxmemory'."
        default: String(cString: strerror(error))
        }
    }

    private func string(_ bytes: UnsafeRawBufferPointer) -> OpaquePointer {
        RedisModule_CreateString(nil, bytes.baseAddress?.assumingMemoryBound(to: CChar.self), bytes.count)
    }
}

/// The answer of a command. Lives as long as the call that made it.
public struct CallReply {
    private let raw: OpaquePointer

    init(raw: OpaquePointer) {
        self.raw = raw
    }

    /// What an answer is, in the protocol of version 2.
    public enum Kind {
        case text(UnsafeRawBufferPointer)
        case integer(Int64)
        case array(count: Int)
        case null
    }

    public var kind: Kind {
        switch RedisModule_CallReplyType(raw) {
        case RM_REPLY_STRING, RM_REPLY_ERROR: .text(bytes)
        case RM_REPLY_INTEGER: .integer(RedisModule_CallReplyInteger(raw))
        case RM_REPLY_ARRAY: .array(count: RedisModule_CallReplyLength(raw))
        default: .null
        }
    }

    /// An element of an array.
    public subscript(index: Int) -> CallReply? {
        RedisModule_CallReplyArrayElement(raw, index).map { CallReply(raw: $0) }
    }

    /// Whether an array has `word` among its elements.
    fileprivate func hasElement(_ word: String) -> Bool {
        (0..<RedisModule_CallReplyLength(raw)).contains { index in
            self[index].map { $0.bytes.elementsEqual(word.utf8) } ?? false
        }
    }

    fileprivate var errorText: String? {
        guard RedisModule_CallReplyType(raw) == RM_REPLY_ERROR else { return nil }
        let text = String(decoding: bytes, as: UTF8.self)
        return text.hasPrefix("-") ? String(text.dropFirst()) : text
    }

    private var bytes: UnsafeRawBufferPointer {
        var length = 0
        let start = RedisModule_CallReplyStringPtr(raw, &length)
        return UnsafeRawBufferPointer(start: start, count: start == nil ? 0 : length)
    }
}
