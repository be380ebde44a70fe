internal import CRedisModule

/// The form in which the server calls a command.
public typealias RawCommand =
    @convention(c) (OpaquePointer?, UnsafeMutablePointer<OpaquePointer?>?, Int32) -> Int32

/// One row of the command table.
public struct Command: @unchecked Sendable {
    /// Lower case, as the server registers it.
    public let name: String
    /// The server's command flags, such as `write deny-oom`.
    public let flags: String
    public let keys: CommandKeys
    public let documentation: CommandDocumentation
    public let entry: RawCommand

    public init(
        name: String, flags: String, keys: CommandKeys, documentation: CommandDocumentation, entry: @escaping RawCommand
    ) {
        self.name = name
        self.flags = flags
        self.keys = keys
        self.documentation = documentation
        self.entry = entry
    }
}

/// Where a command's keys stand.
public enum CommandKeys: Sendable {
    case none
    /// One key at argument 1, used as the access says.
    case first(KeyAccess)
    /// The command is asked each time; the index is what `COMMAND INFO` shows for old clients.
    case reported(shown: Int32)

    /// The first, last and step that `COMMAND INFO` shows.
    var shownRange: (first: Int32, last: Int32, step: Int32) {
        switch self {
        case .none: (0, 0, 0)
        case .first: (1, 1, 1)
        case .reported(let index): (index, index, 1)
        }
    }

    /// The server flag that says that the command must be asked for its keys.
    var flag: String {
        if case .reported = self { " getkeys-api" } else { "" }
    }
}

/// What a command does with a key: decides which key permission it needs.
public struct KeyAccess: OptionSet, Sendable {
    public let rawValue: Int32

    public init(rawValue: Int32) {
        self.rawValue = rawValue
    }

    /// The key's content reaches the caller.
    public static let read = KeyAccess(rawValue: RM_KEY_READ_ONLY | RM_KEY_ACCESS)
    /// The key is replaced without being read.
    public static let overwrite = KeyAccess(rawValue: RM_KEY_OVERWRITE | RM_KEY_UPDATE)
    /// The key's content reaches the caller, and may be changed.
    public static let readWrite = KeyAccess(rawValue: RM_KEY_READ_WRITE | RM_KEY_ACCESS | RM_KEY_UPDATE)
    /// The key is removed.
    public static let remove = KeyAccess(rawValue: RM_KEY_REMOVE | RM_KEY_DELETE)
}

/// Tells the server where the keys of a command are.
public struct KeyReporter {
    private let context: OpaquePointer

    init(context: OpaquePointer) {
        self.context = context
    }

    /// Reports the argument at `index` as a key.
    public func key(at index: Int, _ access: KeyAccess) {
        RedisModule_KeyAtPosWithFlags(context, Int32(clamping: index), access.rawValue)
    }
}

/// Runs a command and replies once: with its value, or with the error it threw.
public func runCommand(
    _ context: OpaquePointer?, _ argv: UnsafeMutablePointer<OpaquePointer?>?, _ argc: Int32,
    _ body: (CommandContext, inout Arguments) throws(CommandError) -> Reply
) -> Int32 {
    guard let context, let argv else { return RM_ERR }
    Arguments.with(argv, argc) { arguments in
        var arguments = arguments
        let writer = ReplyWriter(context: context)
        do throws(CommandError) {
            writer.write(try body(CommandContext(raw: context), &arguments))
        } catch {
            writer.error(error)
        }
    }
    return RM_OK
}

/// As ``runCommand(_:_:_:_:)``, for a command that the server may also ask for its key positions.
public func runCommand(
    _ context: OpaquePointer?, _ argv: UnsafeMutablePointer<OpaquePointer?>?, _ argc: Int32,
    reportingKeys reportKeys: (Arguments, KeyReporter) -> Void,
    _ body: (CommandContext, inout Arguments) throws(CommandError) -> Reply
) -> Int32 {
    guard let context, let argv else { return RM_ERR }
    if RedisModule_IsKeysPositionRequest(context) != 0 {
        Arguments.with(argv, argc) { reportKeys($0, KeyReporter(context: context)) }
        return RM_OK
    }
    return runCommand(context, argv, argc, body)
}

extension ModuleContext {
    /// Registers a command with its flags, key positions and documentation.
    public func register(_ command: Command) -> Bool {
        let range = command.keys.shownRange
        guard
            RedisModule_CreateCommand(
                raw, command.name, command.entry, command.flags + command.keys.flag, range.first, range.last, range.step
            )
                == RM_OK,
            let handle = RedisModule_GetCommand(raw, command.name)
        else { return false }
        return command.documentation.attach(to: handle, keys: command.keys)
    }
}
