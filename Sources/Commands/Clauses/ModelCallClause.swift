internal import Inference
internal import RedisModuleKit

/// Where a call of a model or script stands.
enum CallPlace {
    /// In a command of its own.
    case command
    /// Among the operations of a DAG, which have one TIMEOUT together.
    case graph
}

/// The arguments of AI.MODELEXECUTE and AI.MODELRUN after the model's key.
struct ModelCallClause {
    let inputs: ArgumentSlice
    let outputs: ArgumentSlice
    let timeout: Int?

    /// Reads `INPUTS n in ... OUTPUTS m out ... [TIMEOUT ms]`, to the end of the arguments. The counts of a model that is
    /// still loading are checked when it runs.
    init(parsing arguments: inout Arguments, for model: Model, in place: CallPlace) throws(CommandError) {
        let loaded = model.loaded
        guard arguments.consume("INPUTS") else { throw .inputsNotSpecified }
        inputs = try Self.parseKeys(
            &arguments, expected: loaded?.inputCount, badCount: .invalidInputCount,
            notPositive: CommandError("ERR Input count must be a positive integer"),
            mismatch: CommandError(.wrongInputCount), tooFew: .tooFewKeys("input"))
        guard arguments.consume("OUTPUTS") else { throw .outputsNotSpecified }
        outputs = try Self.parseKeys(
            &arguments, expected: loaded?.outputCount, badCount: .invalidOutputCount,
            notPositive: CommandError("ERR Output count must be a positive integer"),
            mismatch: CommandError(.wrongOutputCount), tooFew: .tooFewKeys("output"))
        timeout = try TimeoutClause.parse(&arguments, in: place)
        if let surplus = arguments.next() { throw CommandError("Invalid argument: \(surplus.excerpt)") }
    }

    private static func parseKeys(
        _ arguments: inout Arguments, expected: Int?, badCount: @autoclosure () -> CommandError,
        notPositive: @autoclosure () -> CommandError, mismatch: @autoclosure () -> CommandError,
        tooFew: @autoclosure () -> CommandError
    ) throws(CommandError) -> ArgumentSlice {
        guard let count = arguments.next()?.integer else { throw badCount() }
        guard count > 0 else { throw notPositive() }
        guard count == expected ?? count else { throw mismatch() }
        guard let keys = arguments.take(count) else { throw tooFew() }
        return keys
    }

    /// Reads `[TIMEOUT ms] INPUTS in ... OUTPUTS out ...`, to the end of the arguments. Without the word OUTPUTS all names
    /// are inputs.
    init(parsingDeprecated arguments: inout Arguments, for model: Model, in place: CallPlace) throws(CommandError) {
        timeout = try TimeoutClause.parse(&arguments, in: place)
        guard arguments.consume("INPUTS") else { throw .inputsNotSpecified }
        let names = arguments.remaining
        let inputCount = (0..<names).first { arguments[arguments.position + $0]?.matches("OUTPUTS") == true } ?? names
        guard let inputs = arguments.take(inputCount) else { throw .inputsNotSpecified }
        _ = arguments.next()
        self.inputs = inputs
        outputs = arguments.takeAll()
        guard let loaded = model.loaded else { return }
        guard inputs.count == loaded.inputCount else { throw CommandError(.wrongInputCount) }
        guard outputs.count == loaded.outputCount else { throw CommandError(.wrongOutputCount) }
    }
}

// MARK: Texts

extension CommandError {
    static let inputsNotSpecified = CommandError("ERR INPUTS not specified")
    static let outputsNotSpecified = CommandError("ERR OUTPUTS not specified")

    static func tooFewKeys(_ direction: String) -> CommandError {
        CommandError(
            "ERR number of \(direction) keys to AI.MODELEXECUTE command does not match the number of given arguments")
    }
}
