internal import Inference
internal import RedisModuleKit
internal import Tensors

/// `AI.MODELEXECUTE key INPUTS n in ... OUTPUTS m out ... [TIMEOUT ms]` runs a model on stored tensors.
///
/// Inputs and model are taken when the command arrives; what happens to their keys later does not matter. The run goes
/// through the queue of the model's device, and its outputs are written when it has succeeded.
enum ModelExecute {
    static let command = Command(
        name: "ai.modelexecute", flags: "write deny-oom", keys: .reported(shown: 4),
        documentation: CommandDocumentation(
            summary: "Runs a model on tensors and stores its outputs as tensors.",
            complexity: "O(M) where M is the cost of the model's run, in the background", since: "1.2.5",
            arguments: [
                DocumentedArgument("key", .key(specification: -1)),
                DocumentedArgument("input-count", .integer, token: "INPUTS"),
                DocumentedArgument("input", .key(specification: -1), multiple: true),
                DocumentedArgument("output-count", .integer, token: "OUTPUTS"),
                DocumentedArgument("output", .key(specification: -1), multiple: true),
                DocumentedArgument("timeout", .integer, token: "TIMEOUT", optional: true),
            ]),
        entry: { runCommand($0, $1, $2, reportingKeys: ModelExecute.reportKeys, ModelExecute.run) })

    private static func run(_ context: CommandContext, _ arguments: inout Arguments) throws(CommandError) -> Reply {
        guard context.allowsBlocking else { throw .insideTransaction }
        guard arguments.count >= 8, let key = arguments.next() else { throw .wrongArity(of: "AI.MODELEXECUTE") }
        let model = try context.model(at: key)
        let call = try ModelCall(parsing: &arguments, for: model)
        var inputs: [Tensor] = []
        inputs.reserveCapacity(call.inputs.count)
        for name in call.inputs { inputs.append(try context.tensor(at: name)) }
        return PendingExecution.start(
            .model(model), inputs: inputs, outputs: call.outputs.map { ServerString(holding: $0) },
            timeout: call.timeout, context)
    }

    /// Reports the model, every input and every output; stops silently where the counts do not fit.
    private static func reportKeys(_ arguments: Arguments, _ reporter: KeyReporter) {
        guard arguments.count >= 4 else { return }
        reporter.key(at: 1, .read)
        guard let inputCount = arguments[3]?.integer, inputCount >= 0, inputCount <= arguments.count - 4 else { return }
        let outputsWord = 4 + inputCount
        for index in 4..<outputsWord { reporter.key(at: index, .read) }
        guard let outputCount = arguments[outputsWord + 1]?.integer, outputCount >= 0,
            outputCount <= arguments.count - outputsWord - 2
        else { return }
        for index in outputsWord + 2..<outputsWord + 2 + outputCount { reporter.key(at: index, .overwrite) }
    }
}

/// The arguments of AI.MODELEXECUTE after the model's key.
struct ModelCall {
    let inputs: ArgumentSlice
    let outputs: ArgumentSlice
    let timeout: Int?

    /// Reads `INPUTS n in ... OUTPUTS m out ... [TIMEOUT ms]`, to the end of the arguments. The counts of a model that is
    /// still loading are checked when it runs.
    init(parsing arguments: inout Arguments, for model: Model) throws(CommandError) {
        let loaded = model.loaded
        guard arguments.consume("INPUTS") else { throw .inputsNotSpecified }
        inputs = try Self.parseKeys(
            &arguments, expected: loaded?.inputNames.count, badCount: .invalidInputCount,
            notPositive: CommandError("ERR Input count must be a positive integer"),
            mismatch: CommandError(.wrongInputCount), tooFew: .tooFewKeys("input"))
        guard arguments.consume("OUTPUTS") else { throw .outputsNotSpecified }
        outputs = try Self.parseKeys(
            &arguments, expected: loaded?.outputNames.count, badCount: .invalidOutputCount,
            notPositive: CommandError("ERR Output count must be a positive integer"),
            mismatch: CommandError(.wrongOutputCount), tooFew: .tooFewKeys("output"))
        timeout = arguments.consume("TIMEOUT") ? try TimeoutClause.parseValue(&arguments) : nil
        if let surplus = arguments.next() { throw CommandError("Invalid argument: \(surplus.excerpt)") }
    }

    private static func parseKeys(
        _ arguments: inout Arguments, expected: Int?, badCount: CommandError, notPositive: CommandError,
        mismatch: CommandError, tooFew: CommandError
    ) throws(CommandError) -> ArgumentSlice {
        guard let count = arguments.next()?.integer else { throw badCount }
        guard count > 0 else { throw notPositive }
        guard count == expected ?? count else { throw mismatch }
        guard let keys = arguments.take(count) else { throw tooFew }
        return keys
    }
}

// MARK: Texts

extension CommandError {
    static let insideTransaction = CommandError("ERR Cannot run RedisAI command within a transaction or a LUA script")
    static let inputsNotSpecified = CommandError("ERR INPUTS not specified")
    static let outputsNotSpecified = CommandError("ERR OUTPUTS not specified")

    static func tooFewKeys(_ direction: String) -> CommandError {
        CommandError(
            "ERR number of \(direction) keys to AI.MODELEXECUTE command does not match the number of given arguments")
    }
}
