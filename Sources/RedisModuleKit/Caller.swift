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

    /// Asking for the user's name ends the server where there is none, as in commands of other modules.
    private var hasUser: Bool {
        // The server refuses to run anything on behalf of nobody, before it looks for the command.
        var error: Int32 = 0
        if let reply = RedisModule_CallVector(raw, "ai.nothing", "CE", nil, 0, &error) {
            RedisModule_FreeCallReply(reply)
        }
        return error != ENOTSUP
    }

    /// Whether the command came over a connection from this machine: a Unix socket or a loopback address. A command of a
    /// script or of another module has no connection.
    ///
    /// Read from CLIENT LIST: Valkey 9.1 knows clients without a connection by their numbers, and dies when it is asked for
    /// their addresses.
    public var isLocalConnection: Bool {
        let words = ["LIST", "ID", String(RedisModule_GetClientId(raw))].map { ServerString($0) }
        let reply = withExtendedLifetime(words) {
            var pointers: [OpaquePointer?] = words.map(\.raw)
            var error: Int32 = 0
            return pointers.withUnsafeMutableBufferPointer {
                RedisModule_CallVector(raw, "CLIENT", "Ev", $0.baseAddress, $0.count, &error)
            }
        }
        guard let reply else { return false }
        defer { RedisModule_FreeCallReply(reply) }
        guard case .text(let line) = CallReply(raw: reply).kind else { return false }
        return ClientLine(line).isLocal
    }
}

/// A line of CLIENT LIST: `id=3 addr=127.0.0.1:50000 laddr=127.0.0.1:6379 fd=8 name= ... flags=N ...`.
private struct ClientLine {
    private var fields: [Substring: Substring] = [:]

    init(_ bytes: UnsafeRawBufferPointer) {
        for field in String(decoding: bytes, as: UTF8.self).split(whereSeparator: { $0 == " " || $0 == "\n" }) {
            let parts = field.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            // The first of a name: what clients choose themselves stands behind the addresses.
            if parts.count == 2, fields[parts[0]] == nil { fields[parts[0]] = parts[1] }
        }
    }

    var isLocal: Bool {
        guard let descriptor = fields["fd"], descriptor != "-1", let address = fields["addr"] else { return false }
        if fields["flags"]?.contains("U") == true { return true }
        return ["127.", "[::1]:", "[::ffff:127."].contains { address.hasPrefix($0) }
    }
}
