internal import CRedisModule
internal import Glibc

/// What `COMMAND DOCS` shows of a command.
public struct CommandDocumentation: Sendable {
    public let summary: String
    public let complexity: String
    /// The module version that introduced the command.
    public let since: String
    public let arguments: [DocumentedArgument]

    public init(summary: String, complexity: String, since: String, arguments: [DocumentedArgument]) {
        self.summary = summary
        self.complexity = complexity
        self.since = since
        self.arguments = arguments
    }

    func attach(to command: OpaquePointer, keys: CommandKeys) -> Bool {
        let arena = DocumentationArena()
        var info = RedisModuleCommandInfo()
        info.version = CRedisModule_CommandInfoVersion()
        info.summary = arena.text(summary)
        info.complexity = arena.text(complexity)
        info.since = arena.text(since)
        info.key_specs = arena.keySpecifications(of: keys)
        info.args = arena.arguments(arguments)
        // The server copies everything, so the arena may go.
        return RedisModule_SetCommandInfo(command, &info) == RM_OK
    }
}

/// One element of a command's grammar.
public struct DocumentedArgument: Sendable {
    public enum Kind: Sendable {
        case text, integer
        /// A key; `specification` is its index among the command's key specifications, -1 when the command is asked.
        case key(specification: Int32)
        /// A bare word.
        case word
        /// One of the members.
        case oneOf([DocumentedArgument])
        /// The members in order.
        case group([DocumentedArgument])
    }

    let name: String
    let kind: Kind
    let token: String?
    let flags: Int32

    public init(_ name: String, _ kind: Kind, token: String? = nil, optional: Bool = false, multiple: Bool = false) {
        self.name = name
        self.kind = kind
        self.token = token
        flags =
            (optional ? RM_ARGUMENT_OPTIONAL : 0) | (multiple ? RM_ARGUMENT_MULTIPLE : 0)
    }

    /// A bare word that stands for itself.
    public static func word(_ token: String, optional: Bool = false) -> DocumentedArgument {
        DocumentedArgument(token.lowercased(), .word, token: token, optional: optional)
    }

    /// A word, a number, and as many of `name`.
    public static func counted(_ token: String, _ name: String, _ kind: Kind) -> [DocumentedArgument] {
        [
            DocumentedArgument("\(name)-count", .integer, token: token),
            DocumentedArgument(name, kind, multiple: true),
        ]
    }

    /// One of several bare words.
    public static func choice(_ name: String, _ words: [String], optional: Bool = false) -> DocumentedArgument {
        DocumentedArgument(name, .oneOf(words.map { .word($0) }), optional: optional)
    }
}

/// The memory of one command's documentation in the server's layout, freed together.
private final class DocumentationArena {
    private var blocks: [UnsafeMutableRawPointer] = []

    deinit {
        for block in blocks { free(block) }
    }

    func text(_ text: String?) -> UnsafePointer<CChar>? {
        guard let text, let copy = strdup(text) else { return nil }
        blocks.append(copy)
        return UnsafePointer(copy)
    }

    /// A zero-terminated array, as the server wants them: one more element, all zero.
    private func array<Element>(_ elements: [Element]) -> UnsafeMutablePointer<Element>? {
        guard !elements.isEmpty,
            let block = calloc(elements.count + 1, MemoryLayout<Element>.stride)
        else { return nil }
        blocks.append(block)
        let array = block.bindMemory(to: Element.self, capacity: elements.count + 1)
        array.update(from: elements, count: elements.count)
        return array
    }

    func keySpecifications(of keys: CommandKeys) -> UnsafeMutablePointer<RedisModuleCommandKeySpec>? {
        // Where the command is asked for its keys, the server's own placeholder specification stays.
        guard case .first(let access) = keys else { return nil }
        var specification = RedisModuleCommandKeySpec()
        specification.flags = UInt64(UInt32(bitPattern: access.rawValue))
        specification.begin_search_type = RM_KEYSPEC_BEGIN_INDEX
        specification.bs.index.pos = 1
        specification.find_keys_type = RM_KEYSPEC_FIND_RANGE
        specification.fk.range = .init(lastkey: 0, keystep: 1, limit: 0)
        return array([specification])
    }

    func arguments(_ arguments: [DocumentedArgument]) -> UnsafeMutablePointer<RedisModuleCommandArg>? {
        array(arguments.map(argument))
    }

    private func argument(_ documented: DocumentedArgument) -> RedisModuleCommandArg {
        var argument = RedisModuleCommandArg()
        argument.name = text(documented.name)
        argument.token = text(documented.token)
        argument.flags = documented.flags
        argument.key_spec_index = -1
        switch documented.kind {
        case .text: argument.type = RM_ARGUMENT_STRING
        case .integer: argument.type = RM_ARGUMENT_INTEGER
        case .key(let specification):
            argument.type = specification < 0 ? RM_ARGUMENT_STRING : RM_ARGUMENT_KEY
            argument.key_spec_index = specification
        case .word: argument.type = RM_ARGUMENT_PURE_TOKEN
        case .oneOf(let members):
            argument.type = RM_ARGUMENT_ONE_OF
            argument.subargs = arguments(members)
        case .group(let members):
            argument.type = RM_ARGUMENT_BLOCK
            argument.subargs = arguments(members)
        }
        return argument
    }
}
