internal import Inference
internal import RedisModuleKit

/// The arguments of AI.SCRIPTEXECUTE and AI.SCRIPTRUN after the function's name.
struct ScriptCallClause {
    private(set) var keys: [Argument] = []
    private(set) var inputs: [Argument] = []
    private(set) var arguments: [Argument] = []
    private(set) var outputs: [Argument] = []
    private(set) var timeout: Int?

    /// The call of `function` that the arguments describe.
    func call(_ function: Argument, _ context: CommandContext, _ effects: ScriptEffects?) -> ScriptCall {
        ScriptCall(
            function: function.text, keys: keys.map(\.bytes), arguments: arguments.map(\.bytes),
            server: ScriptServerAccess(context, effects))
    }
}

// MARK: AI.SCRIPTEXECUTE

extension ScriptCallClause {
    /// The sections of AI.SCRIPTEXECUTE, each a word, a count and as many arguments.
    private enum Section: CaseIterable {
        case keys, inputs, arguments, outputs

        var word: StaticString {
            switch self {
            case .keys: "KEYS"
            case .inputs: "INPUTS"
            case .arguments: "ARGS"
            case .outputs: "OUTPUTS"
            }
        }
    }

    /// Reads the sections in any order, each at most once, and TIMEOUT at the end.
    init(parsing arguments: inout Arguments, in place: CallPlace) throws(CommandError) {
        if place == .command {
            guard let first = arguments.peek, first.matches("KEYS") || first.matches("INPUTS") else {
                throw .firstScopeMissing
            }
        }
        var seen: Set<Section> = []
        while let word = arguments.next() {
            if word.matches("TIMEOUT") {
                guard place == .command else { throw .timeoutInGraph }
                timeout = try Self.parseTimeout(&arguments)
                guard arguments.remaining == 0 else { throw .problemParsing }
                return
            }
            guard let section = Section.allCases.first(where: { word.matches($0.word) }) else {
                throw CommandError("ERR Invalid AI.SCRIPTEXECUTE command. Unexpected argument: \(word.excerpt)")
            }
            guard seen.insert(section).inserted else {
                throw CommandError("ERR Already Encountered \(section.word) scope in AI.SCRIPTEXECUTE command")
            }
            try parse(section, &arguments)
        }
    }

    private mutating func parse(_ section: Section, _ arguments: inout Arguments) throws(CommandError) {
        switch section {
        case .keys: keys = try Self.parseKeys(&arguments)
        case .inputs: inputs = try Self.parseList(&arguments, badCount: "inputs", tooFew: "inputs")
        // The text for the count of ARGS says keys; clients know it so.
        case .arguments: self.arguments = try Self.parseList(&arguments, badCount: "keys", tooFew: "args")
        case .outputs: outputs = try Self.parseList(&arguments, badCount: "outputs", tooFew: "outputs")
        }
    }

    private static func parseTimeout(_ arguments: inout Arguments) throws(CommandError) -> Int {
        guard arguments.remaining > 0 else {
            throw CommandError("ERR No value provided for TIMEOUT in AI.SCRIPTEXECUTE")
        }
        return try TimeoutClause.parseValue(&arguments)
    }

    private static func parseKeys(_ arguments: inout Arguments) throws(CommandError) -> [Argument] {
        guard arguments.remaining >= 2 else { throw CommandError("ERR Missing arguments after KEYS keyword") }
        guard let count = arguments.next()?.integer, count > 0 else {
            throw CommandError("ERR Invalid or negative value found in number of KEYS")
        }
        guard let keys = arguments.take(count) else {
            throw CommandError(
                "ERR Number of pre declared KEYS to be used in the command does not match the number of given arguments"
            )
        }
        return Array(keys)
    }

    /// A count, which may be 0 (and is 0 when negative), and as many arguments.
    private static func parseList(
        _ arguments: inout Arguments, badCount: String, tooFew: String
    ) throws(CommandError) -> [Argument] {
        guard let word = arguments.next() else {
            throw CommandError("ERR Invalid arguments provided to AI.SCRIPTEXECUTE")
        }
        guard let count = word.integer else {
            throw CommandError("ERR Invalid argument for \(badCount) count in AI.SCRIPTEXECUTE")
        }
        guard let list = arguments.take(max(0, count)) else {
            throw CommandError(
                "ERR number of \(tooFew) to AI.SCRIPTEXECUTE command does not match the number of given arguments")
        }
        return Array(list)
    }

    /// Reports the script and every key of the KEYS, INPUTS and OUTPUTS sections; stops silently where counts do not fit.
    static func reportKeys(_ arguments: Arguments, _ reporter: KeyReporter) {
        guard arguments.count >= 2 else { return }
        reporter.key(at: 1, .read)
        forEachSection(of: arguments) { section, positions in
            switch section {
            case .keys: for position in positions { reporter.key(at: position, .readWrite) }
            case .inputs: for position in positions { reporter.key(at: position, .read) }
            case .outputs: for position in positions { reporter.key(at: position, .overwrite) }
            case .arguments: break
            }
        }
    }

    /// The keys of the KEYS section of an operation of a DAG: its other names are no keys.
    static func declaredKeys(_ operation: Arguments) -> [Argument] {
        var keys: [Argument] = []
        forEachSection(of: operation) { section, positions in
            if section == .keys { keys += positions.compactMap { operation[$0] } }
        }
        return keys
    }

    /// The sections as the parser would take them, up to the first that does not fit.
    private static func forEachSection(of arguments: Arguments, _ body: (Section, Range<Int>) -> Void) {
        var index = 3
        while let word = arguments[index], let section = Section.allCases.first(where: { word.matches($0.word) }) {
            // A negative count counts as none.
            guard let count = arguments[index + 1]?.integer.map({ max(0, $0) }),
                count <= arguments.count - index - 2
            else { return }
            body(section, index + 2..<index + 2 + count)
            index += 2 + count
        }
    }
}

// MARK: AI.SCRIPTRUN

extension ScriptCallClause {
    private enum ListPlace {
        case start, inputs, outputs
    }

    /// Reads `[INPUTS in ... [$ in ...]] [OUTPUTS out ...]` with `TIMEOUT ms` anywhere. `$` has no effect: what a function
    /// takes follows from its signature.
    init(parsingDeprecated arguments: inout Arguments, in place: CallPlace) throws(CommandError) {
        var list = ListPlace.start
        var hasVariadic = false
        while let word = arguments.next() {
            if word.matches("TIMEOUT") {
                guard place == .command else { throw .timeoutInGraph }
                guard timeout == nil else { throw .runSectionRepeated("an TIMEOUT section") }
                guard arguments.remaining > 0 else { throw .invalidTimeout }
                timeout = try TimeoutClause.parseValue(&arguments)
            } else if word.matches("INPUTS") {
                if list == .outputs { throw .runSectionRepeated("an INPUTS section") }
                if list == .inputs { throw .runSectionRepeated("an INPUTS keyword") }
                list = .inputs
            } else if word.matches("OUTPUTS") {
                if list == .outputs { throw .runSectionRepeated("an OUTPUTS keyword") }
                list = .outputs
            } else if word.matches("$") {
                guard list == .inputs else { throw .variadicOutsideInputs }
                guard !hasVariadic else { throw .variadicRepeated }
                hasVariadic = true
            } else {
                try take(word, into: list)
            }
        }
    }

    private mutating func take(_ word: Argument, into list: ListPlace) throws(CommandError) {
        switch list {
        case .start: throw CommandError("ERR Unrecongnized parameter to SCRIPTRUN")
        case .inputs: inputs.append(word)
        case .outputs: outputs.append(word)
        }
    }

    /// Reports the script, and every argument after the first section's word that is no word itself.
    static func reportDeprecatedKeys(_ arguments: Arguments, _ reporter: KeyReporter) {
        guard arguments.count >= 2 else { return }
        reporter.key(at: 1, .read)
        var index = arguments[3]?.matches("TIMEOUT") == true ? 5 : 3
        var isOutput = arguments[index]?.matches("OUTPUTS") == true
        index += 1
        while let word = arguments[index] {
            if word.matches("OUTPUTS") {
                isOutput = true
            } else if !word.matches("$") {
                reporter.key(at: index, isOutput ? .overwrite : .read)
            }
            index += 1
        }
    }
}

// MARK: Texts

extension CommandError {
    static let firstScopeMissing = CommandError(
        "ERR KEYS or INPUTS scope must be provided first for AI.SCRIPTEXECUTE command")
    static let problemParsing = CommandError("ERR Encountered problem parsing AI.SCRIPTEXECUTE")
    static let variadicOutsideInputs = CommandError(
        "ERR Encountered a variable size list of tensors outside of input section")
    static let variadicRepeated = CommandError("ERR Already encountered a variable size list of tensors")

    static func runSectionRepeated(_ what: String) -> CommandError {
        CommandError("ERR Already encountered \(what) in SCRIPTRUN")
    }
}
