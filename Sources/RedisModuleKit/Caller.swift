internal import CRedisModule
internal import Glibc

/// On whose behalf a command runs.
public enum Caller: Equatable, Sendable {
    /// The server itself: its primary, a file that it reads, another module. No access rule binds it.
    case server
    /// A user of the server's access control list, by name.
    case user(name: [UInt8])
}

extension CommandContext {
    /// Whether the command must be carried out whatever its sender may do: the primary has carried it out already, or it was
    /// read from the append-only file.
    public var isObeyed: Bool {
        if !flags.isDisjoint(with: [.replicated, .loading]) { return true }
        return RedisModule_Has_MustObeyClient() && RedisModule_MustObeyClient(raw) != 0
    }

    /// On whose behalf the command runs. Inside a script of the server it is the script's caller.
    public var caller: Caller {
        guard !isObeyed, hasUser, let name = RedisModule_GetCurrentUserName(raw) else { return .server }
        defer { RedisModule_FreeString(nil, name) }
        return .user(name: Argument(raw: name).bytes)
    }

    /// Asking for the user's name ends the server where there is none.
    private var hasUser: Bool {
        // Connections have one. What else runs commands (scripts, other modules) is not to be found by its number.
        if RedisModule_GetClientInfoById(nil, RedisModule_GetClientId(raw)) == RM_OK { return true }
        // The server refuses to run anything on behalf of nobody, before it looks for the command.
        var error: Int32 = 0
        if let reply = RedisModule_CallVector(raw, "ai.nothing", "CE", nil, 0, &error) {
            RedisModule_FreeCallReply(reply)
        }
        return error != ENOTSUP
    }

    /// Whether the command came over a connection from this machine: a Unix socket or a loopback address.
    public var isLocalConnection: Bool {
        var info = RedisModuleClientInfo()
        info.version = RM_CLIENT_INFO_VERSION
        guard RedisModule_GetClientInfoById(&info, RedisModule_GetClientId(raw)) == RM_OK else { return false }
        if info.flags & RM_CLIENT_UNIX_SOCKET != 0 { return true }
        let address = withUnsafeBytes(of: &info.address) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        return address == "::1" || address.hasPrefix("127.") || address.hasPrefix("::ffff:127.")
    }
}
