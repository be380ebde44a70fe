internal import CRedisModule

/// What a caller may do by the server's access control list as it is at this moment. Not to be kept: users can be deleted.
/// Main thread, or a thread that holds the server's lock.
public struct Permissions: ~Copyable {
    private let context: OpaquePointer
    private let caller: Caller
    /// Nil for the server, and for a user who has been deleted.
    private let user: OpaquePointer?

    init(_ caller: Caller, in context: OpaquePointer) {
        self.context = context
        self.caller = caller
        guard case .user(let name) = caller else {
            user = nil
            return
        }
        let string = Self.string(name)
        user = RedisModule_GetModuleUserFromUserName(string)
        RedisModule_FreeString(nil, string)
    }

    deinit {
        if let user { _ = RedisModule_FreeModuleUser(user) }
    }

    /// Whether the caller may use the key so, with some command.
    public func allow(_ access: KeyAccess, to key: [UInt8]) -> Bool {
        decide { user in
            let string = Self.string(key)
            defer { RedisModule_FreeString(nil, string) }
            return RedisModule_ACLCheckKeyPermissions(user, string, access.permissionFlags) == RM_OK
        }
    }

    /// As ``allow(_:to:)``: a refusal is an error, with a line in the ACL LOG.
    public func require(_ access: KeyAccess, to key: [UInt8]) throws(CommandError) {
        guard allow(access, to: key) else { throw refusal(of: key) }
    }

    /// The error for a key that the caller may not use so, once the ACL LOG has a line about it.
    public func refusal(of key: [UInt8]) -> CommandError {
        log(denied: key, .key)
        return .keyNotPermitted
    }

    /// As ``refusal(of:)``, for a command.
    public func refusal(ofCommand name: String) -> CommandError {
        log(denied: Array(name.utf8), .command)
        return .commandNotPermitted(name, to: caller)
    }

    /// Whether the caller may send the command.
    public func allowCommand(_ words: [[UInt8]]) -> Bool {
        decide { user in
            let strings = words.map(Self.string)
            defer { for string in strings { RedisModule_FreeString(nil, string) } }
            return Self.allow(strings, user)
        }
    }

    /// Whether the caller may send the command with `words` inserted behind its name.
    public func allowCommand(_ arguments: Arguments, inserting words: [[UInt8]]) -> Bool {
        decide { user in
            let inserted = words.map(Self.string)
            defer { for string in inserted { RedisModule_FreeString(nil, string) } }
            var strings = inserted
            if let name = arguments[0] { strings.insert(name.raw, at: 0) }
            for index in 1..<max(1, arguments.count) { strings.append(arguments.base[index].raw) }
            return Self.allow(strings, user)
        }
    }

    /// Adds a line to the server's ACL LOG.
    public func log(denied object: [UInt8], _ kind: Denial) {
        guard let user else { return }
        let string = Self.string(object)
        _ = RedisModule_ACLAddLogEntry(context, user, string, kind == .key ? RM_ACL_LOG_KEY : RM_ACL_LOG_COMMAND)
        RedisModule_FreeString(nil, string)
    }

    /// What a line of the ACL LOG is about.
    public enum Denial { case key, command }

    private func decide(_ body: (OpaquePointer) -> Bool) -> Bool {
        if caller == .server { return true }
        return user.map(body) ?? false
    }

    private static func allow(_ strings: [OpaquePointer], _ user: OpaquePointer) -> Bool {
        var pointers: [OpaquePointer?] = strings
        return pointers.withUnsafeMutableBufferPointer {
            RedisModule_ACLCheckCommandPermissions(user, $0.baseAddress, Int32(clamping: $0.count)) == RM_OK
        }
    }

    private static func string(_ bytes: [UInt8]) -> OpaquePointer {
        bytes.withUnsafeBytes {
            RedisModule_CreateString(nil, $0.baseAddress?.assumingMemoryBound(to: CChar.self), $0.count)
        }
    }
}

extension CommandContext {
    /// What the command's caller may do.
    public var permissions: Permissions { Permissions(caller, in: raw) }
}

extension KeyAccess {
    /// The part that permissions go by.
    fileprivate var permissionFlags: Int32 {
        rawValue & (RM_KEY_ACCESS | RM_KEY_UPDATE | RM_KEY_DELETE)
    }
}

// MARK: Texts

extension CommandError {
    /// The texts of Redis 7.2 and later, whatever the server.
    fileprivate static let keyNotPermitted = CommandError("NOPERM No permissions to access a key")

    fileprivate static func commandNotPermitted(_ command: String, to caller: Caller) -> CommandError {
        guard case .user(let name) = caller else { return CommandError("NOPERM") }
        let user = String(decoding: name, as: UTF8.self)
        return CommandError("NOPERM User \(user) has no permissions to run the '\(command)' command")
    }

    static let callerIsGone = CommandError("NOPERM the user who called the script has been deleted or switched off")
}
