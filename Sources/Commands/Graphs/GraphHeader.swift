internal import Inference
internal import RedisModuleKit

/// What stands before the first operation of a DAG command:
/// `[LOAD n key ...] [PERSIST n key ...] [ROUTING key-or-tag] [TIMEOUT ms]`, in any order.
struct GraphHeader {
    private enum Clause: UInt8 {
        case load, persist, routing, timeout

        init?(_ word: Argument) {
            switch word.byteCount {
            case 4 where word.matches("LOAD"): self = .load
            case 7 where word.matches("PERSIST"): self = .persist
            case 7 where word.matches("ROUTING"): self = .routing
            case 7 where word.matches("TIMEOUT"): self = .timeout
            default: return nil
            }
        }
    }

    private(set) var persisted: ArgumentSlice?
    /// Milliseconds; nil for no limit.
    private(set) var timeout: Int?
    /// Whether there is a clause that says which shard is meant.
    private(set) var namesShard = false

    /// Reads the clauses, up to the first `|>` or the end. LOADed tensors are put into `plan`.
    init(
        parsing arguments: inout Arguments, isReadOnly: Bool, _ context: CommandContext, into plan: inout RequestPlan,
        _ names: inout LocalNames
    ) throws(CommandError) {
        var seen: UInt8 = 0
        while let word = arguments.peek, !word.matches("|>") {
            guard let clause = Clause(word), seen & (1 << clause.rawValue) == 0 else {
                throw .unexpectedGraphArgument(word)
            }
            seen |= 1 << clause.rawValue
            _ = arguments.next()
            switch clause {
            case .load: try Self.load(&arguments, context, into: &plan, &names)
            case .persist: persisted = try Self.parsePersist(&arguments, isReadOnly: isReadOnly)
            case .routing: guard arguments.next() != nil else { throw .missingRouting }
            case .timeout: timeout = try Self.parseTimeout(&arguments)
            }
            if clause != .timeout { namesShard = true }
        }
    }

    /// Whether `word` begins a clause, which it must not within the operations.
    static func isClause(_ word: Argument) -> Bool { Clause(word) != nil }

    private static func load(
        _ arguments: inout Arguments, _ context: CommandContext, into plan: inout RequestPlan, _ names: inout LocalNames
    ) throws(CommandError) {
        guard arguments.remaining >= 2 else { throw .missingArguments(after: "LOAD") }
        guard let count = arguments.next()?.integer, count > 0 else { throw .invalidKeyCount(of: "LOAD") }
        for _ in 0..<count {
            // Too large a count is noticed at the end: by then what follows has been looked for as a key.
            guard let key = arguments.next() else { throw .tooFewKeysToLoad }
            names.define(key, plan.add(try context.tensor(at: key)))
        }
    }

    private static func parsePersist(
        _ arguments: inout Arguments, isReadOnly: Bool
    ) throws(CommandError) -> ArgumentSlice {
        guard !isReadOnly else { throw .persistInReadOnlyGraph }
        guard arguments.remaining >= 2 else { throw .missingArguments(after: "PERSIST") }
        guard let count = arguments.next()?.integer, count > 0 else { throw .invalidKeyCount(of: "PERSIST") }
        let keys = arguments.take(min(count, arguments.remaining))
        guard let keys, keys.areDistinct else { throw .persistKeysNotUnique }
        guard keys.count == count else { throw .tooFewKeysToPersist }
        return keys
    }

    /// Zero and less stand for no limit.
    private static func parseTimeout(_ arguments: inout Arguments) throws(CommandError) -> Int? {
        guard let word = arguments.next() else { throw .timeoutWithoutValue }
        guard let milliseconds = word.integer else { throw .invalidTimeout }
        return milliseconds > 0 ? milliseconds : nil
    }
}

extension ArgumentSlice {
    fileprivate var areDistinct: Bool {
        if count == 1 { return true }
        var seen: Set<[UInt8]> = []
        return allSatisfy { seen.insert($0.bytes).inserted }
    }
}

// MARK: Texts

extension CommandError {
    static let missingRouting = CommandError("ERR Missing ROUTING value")
    static let tooFewKeysToLoad = CommandError(
        "ERR number of keys to LOAD into DAG does not match the number of given arguments")
    static let persistInReadOnlyGraph = CommandError("ERR PERSIST cannot be specified in a read-only DAG")
    static let persistKeysNotUnique = CommandError("ERR PERSIST keys must be unique")
    static let tooFewKeysToPersist = CommandError(
        "ERR number of keys to PERSIST after DAG execution does not match the number of given arguments")

    static func missingArguments(after word: String) -> CommandError {
        CommandError("ERR missing arguments after \(word) keyword in DAG command")
    }

    static func invalidKeyCount(of word: String) -> CommandError {
        CommandError("ERR invalid or negative value found in number of keys to \(word)")
    }

    /// Two spaces: clients know it so.
    static func unexpectedGraphArgument(_ word: Argument) -> CommandError {
        CommandError("ERR Invalid DAG command. Unexpected argument:  \(word.excerpt)")
    }
}
