internal import CRedisModule
internal import Glibc

// A node of a cluster checks the slots of a command's keys when the command arrives. What a blocked command has prepared is
// written later: the slot may have left the node by then, or the key be on its way. The server redirects its own blocked
// clients, and leaves those of modules to the modules.

extension CommandContext {
    /// Whether the server is a node of a cluster, which it is from its start on, or never.
    public var isInCluster: Bool { ClusterNode.isHere(raw) }

    /// Refuses to go on with a blocked command that is about to change `key`, as the server would if the client sent
    /// `command` for it now: with the error that makes clients send theirs again, elsewhere or later. Nothing is run.
    ///
    /// - Throws: `MOVED`, `TRYAGAIN` or `CLUSTERDOWN`.
    public func checkOwnership(of key: ServerString, by command: StaticString) throws(CommandError) {
        guard isInCluster else { return }
        try ClusterNode(context: raw, client: raw).check(key, command)
    }

    /// As ``checkOwnership(of:by:)`` for a key that a script of the client reads or changes: scripts do not reach the keys of a
    /// slot that is arriving, whether or not their client has been sent ahead.
    public func checkOwnershipForScripts(of key: ServerString) throws(CommandError) {
        guard isInCluster, let detached = RedisModule_GetThreadSafeContext(nil) else { return }
        defer { RedisModule_FreeThreadSafeContext(detached) }
        try ClusterNode(context: detached, client: raw).check(key, "DEL")
    }
}

extension LockedServer {
    /// Whether scripts on this node reach `key`: not while its slot arrives, is another's, or the cluster is down.
    public func serves(_ key: ServerString) -> Bool {
        ClusterNode(context: raw, client: raw).serves(key)
    }

    /// Refuses a command, given with its name, whose keys are not all of one slot, in the server's words.
    ///
    /// Valkey 9.1 must not see one from a module: it remembers that the command was refused, and from then on refuses all that
    /// modules ask it to run.
    func checkSlots(of words: inout [OpaquePointer?]) throws(CommandError) {
        guard ClusterNode.isHere(raw) else { return }
        var count: Int32 = 0
        let keys = words.withUnsafeMutableBufferPointer {
            RedisModule_GetCommandKeys(raw, $0.baseAddress, Int32(clamping: $0.count), &count)
        }
        guard let keys else { return }
        defer { RedisModule_Free(keys) }
        var slot: Int?
        for index in UnsafeBufferPointer(start: keys, count: max(0, Int(count))) {
            // The positions may come from another module.
            guard words.indices.contains(Int(index)), let key = words[Int(index)] else { continue }
            let other = Argument(raw: key).slot
            guard other == slot ?? other else { throw .keyIsNotLocal }
            slot = other
        }
    }
}

/// The cluster as the node that the module runs in sees it. Main thread, or while the server's lock is held.
private struct ClusterNode {
    /// Whether the server is one, which it is from its start on, or never.
    static func isHere(_ context: OpaquePointer) -> Bool {
        if let isOn { return isOn }
        let found = ContextFlags(rawValue: RedisModule_GetContextFlags(context)).contains(.cluster)
        isOn = found
        return found
    }

    /// Found out once: results ask for it.
    nonisolated(unsafe) private static var isOn: Bool?

    /// On whose behalf the server is asked.
    let context: OpaquePointer
    /// Whom the answer is for.
    let client: OpaquePointer

    func check(_ key: ServerString, _ command: StaticString) throws(CommandError) {
        switch refusal(of: command, on: key) {
        case ENETDOWN: throw .clusterIsDown
        case EROFS: throw .clusterIsReadOnly
        case EPERM: throw redirection(for: key)
        default: return
        }
    }

    func serves(_ key: ServerString) -> Bool {
        switch refusal(of: "DEL", on: key) {
        case ENETDOWN, EROFS, EPERM: false
        default: true
        }
    }

    /// Why the server would not run `command` on `key`: a number of the system's errors, nil when it would.
    private func refusal(of command: StaticString, on key: ServerString) -> Int32? {
        var line = CommandLine(capacity: 1)
        line.append(key)
        // `D` checks without running, and `E` has refusals as replies.
        if Self.hasDryRuns {
            let (reply, error) = call(command, line, format: "DEv")
            if reply != nil || error != EBADF { return refusal(reply, error) }
            Self.hasDryRuns = false
        }
        // Redis 7.0 does not know `D`: a command that changes nothing is run instead.
        var look = CommandLine(capacity: 2)
        look.append("ENCODING")
        look.append(key)
        let (reply, error) = call("OBJECT", look, format: "Ev")
        return refusal(reply, error)
    }

    /// Whether the server knows the flag `D`: found out by using it.
    nonisolated(unsafe) private static var hasDryRuns = true

    private func refusal(_ reply: OpaquePointer?, _ error: Int32) -> Int32? {
        guard let reply else { return nil }
        defer { RedisModule_FreeCallReply(reply) }
        return RedisModule_CallReplyType(reply) == RM_REPLY_ERROR ? error : nil
    }

    /// Where the client finds the slot of `key`. A slot of this node is on its way: the client is to try again.
    private func redirection(for key: ServerString) -> CommandError {
        let slot = key.withBytes(KeySlot.of)
        return Self.recent.error(for: slot, isTLS: clientUsesTLS) { lookUp(slot) }
    }

    /// Looking a slot up takes the longer the larger the cluster is, and a slot that leaves is asked for by all clients that
    /// wait for runs.
    nonisolated(unsafe) private static var recent = RecentRedirections()

    private func lookUp(_ slot: Int) -> CommandError {
        var line = CommandLine(capacity: 1)
        line.append("SHARDS")
        guard let raw = call("CLUSTER", line, format: "Ev").reply else { return .slotIsMoving }
        defer { RedisModule_FreeCallReply(raw) }
        guard let shard = CallReply(raw: raw).elements.first(where: { $0["slots"]?.covers(slot) == true }) else {
            return .slotIsUnassigned
        }
        guard let primary = shard["nodes"]?.elements.first(where: { $0["role"]?.text == "master" }),
            let port = primary[clientUsesTLS ? "tls-port" : "port"]?.integer, primary["id"]?.text != ownID
        else { return .slotIsMoving }
        return .moved(slot, host: primary["endpoint"]?.text ?? "", port: port)
    }

    private var ownID: String? {
        RedisModule_GetMyClusterID().map {
            String(decoding: UnsafeRawBufferPointer(start: $0, count: Int(RM_NODE_ID_LENGTH)), as: UTF8.self)
        }
    }

    private var clientUsesTLS: Bool {
        var info = RedisModuleClientInfo()
        info.version = UInt64(RM_CLIENT_INFO_VERSION)
        return RedisModule_GetClientInfoById(&info, RedisModule_GetClientId(client)) == RM_OK
            && info.flags & UInt64(RM_CLIENT_INFO_TLS) != 0
    }

    private func call(
        _ command: StaticString, _ arguments: borrowing CommandLine, format: StaticString
    ) -> (reply: OpaquePointer?, error: Int32) {
        var reply: OpaquePointer?
        var error: Int32 = 0
        arguments.withPointers { pointers, count in
            command.withCString { command in
                format.withCString {
                    reply = RedisModule_CallVector(context, command, $0, pointers, count, &error)
                }
            }
        }
        return (reply, error)
    }
}

/// The last answer about a slot, for a moment.
private struct RecentRedirections {
    private static let lifetimeMilliseconds = 20
    private var slot = -1
    private var isTLS = false
    private var until = 0
    private var error = CommandError.slotIsMoving

    mutating func error(for slot: Int, isTLS: Bool, _ lookUp: () -> CommandError) -> CommandError {
        let now = Int(RedisModule_Milliseconds())
        if slot != self.slot || isTLS != self.isTLS || now >= until || until > now + Self.lifetimeMilliseconds {
            self = RecentRedirections(
                slot: slot, isTLS: isTLS, until: now + Self.lifetimeMilliseconds, error: lookUp())
        }
        return error
    }
}

// MARK: Reading replies

extension CallReply {
    fileprivate var elements: [CallReply] {
        guard case .array(let count) = kind else { return [] }
        return (0..<count).compactMap { self[$0] }
    }

    /// The value of a name, in a reply of names and values.
    fileprivate subscript(name: String) -> CallReply? {
        let elements = elements
        return stride(from: 0, to: elements.count - 1, by: 2).first { elements[$0].text == name }.map {
            elements[$0 + 1]
        }
    }

    fileprivate var text: String? {
        if case .text(let bytes) = kind { String(decoding: bytes, as: UTF8.self) } else { nil }
    }

    fileprivate var integer: Int? {
        if case .integer(let value) = kind { Int(value) } else { nil }
    }

    /// Whether one of the ranges, given by their first and last numbers, holds `slot`.
    fileprivate func covers(_ slot: Int) -> Bool {
        let bounds = elements.compactMap(\.integer)
        return stride(from: 0, to: bounds.count - 1, by: 2).contains { bounds[$0] <= slot && slot <= bounds[$0 + 1] }
    }
}

// MARK: Texts: the server's own

extension CommandError {
    fileprivate static let clusterIsDown = CommandError("CLUSTERDOWN The cluster is down")
    fileprivate static let clusterIsReadOnly = CommandError(
        "CLUSTERDOWN The cluster is down and only accepts read commands")
    fileprivate static let slotIsUnassigned = CommandError("CLUSTERDOWN Hash slot not served")
    fileprivate static let keyIsNotLocal = CommandError("ERR Attempted to access a non local key in a cluster node")
    /// The client is to send its command again, here or elsewhere.
    public static let slotIsMoving = CommandError("TRYAGAIN Multiple keys request during rehashing of slot")

    fileprivate static func moved(_ slot: Int, host: String, port: Int) -> CommandError {
        CommandError("MOVED \(slot) \(host):\(port)")
    }
}
