internal import Inference
internal import RedisModuleKit

/// `AI.MODELEXECUTE key INPUTS n in ... OUTPUTS m out ... [TIMEOUT ms]` runs a model on stored tensors, and so does the
/// deprecated `AI.MODELRUN key [TIMEOUT ms] INPUTS in ... OUTPUTS out ...`.
///
/// Inputs and model are taken when the command arrives; what happens to their keys later does not matter. The run goes
/// through the queue of the model's device, unless it is known to cost less than that, and its outputs are written when it
/// has succeeded.
enum ModelExecute {
    static let command = Command(
        name: "ai.modelexecute", flags: "write deny-oom", keys: .reported(shown: 4),
        documentation: CommandDocumentation(
            summary: "Runs a model on tensors and stores its outputs as tensors.",
            complexity: "O(M) where M is the cost of the model's run, in the background", since: "1.2.5",
            arguments: [DocumentedArgument("key", .key(specification: -1))]
                + DocumentedArgument.counted("INPUTS", "input", .key(specification: -1))
                + DocumentedArgument.counted("OUTPUTS", "output", .key(specification: -1))
                + [DocumentedArgument("timeout", .integer, token: "TIMEOUT", optional: true)]),
        entry: {
            runCommand($0, $1, $2, reportingKeys: reportKeys) { context, arguments throws(CommandError) in
                try run(context, &arguments, named: "AI.MODELEXECUTE", minimum: 8) {
                    arguments, model throws(CommandError) in
                    try ModelCallClause(parsing: &arguments, for: model, in: .command)
                }
            }
        })

    static let deprecatedCommand = Command(
        name: "ai.modelrun", flags: "write deny-oom", keys: .reported(shown: 3),
        documentation: CommandDocumentation(
            summary: "Runs a model on tensors and stores its outputs as tensors. Deprecated: use AI.MODELEXECUTE.",
            complexity: "O(M) where M is the cost of the model's run, in the background", since: "1.0.0",
            arguments: [
                DocumentedArgument("key", .key(specification: -1)),
                DocumentedArgument("timeout", .integer, token: "TIMEOUT", optional: true),
                DocumentedArgument("input", .key(specification: -1), token: "INPUTS", multiple: true),
                DocumentedArgument("output", .key(specification: -1), token: "OUTPUTS", multiple: true),
            ]),
        entry: {
            runCommand($0, $1, $2, reportingKeys: reportDeprecatedKeys) { context, arguments throws(CommandError) in
                try run(context, &arguments, named: "AI.MODELRUN", minimum: 6) {
                    arguments, model throws(CommandError) in
                    try ModelCallClause(parsingDeprecated: &arguments, for: model, in: .command)
                }
            }
        })

    private static func run(
        _ context: CommandContext, _ arguments: inout Arguments, named name: String, minimum: Int,
        parse: (inout Arguments, Model) throws(CommandError) -> ModelCallClause
    ) throws(CommandError) -> Reply {
        guard context.allowsBlocking else { throw .insideTransaction }
        guard arguments.count >= minimum, let key = arguments.next() else { throw .wrongArity(of: name) }
        let model = try context.model(at: key)
        let call = try parse(&arguments, model)
        return try PendingRequest.start(
            .model(model), inputs: call.inputs, outputs: call.outputs, timeout: call.timeout, context)
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

    /// Reports the model, and every argument after the word INPUTS but the first that is the word OUTPUTS.
    private static func reportDeprecatedKeys(_ arguments: Arguments, _ reporter: KeyReporter) {
        guard arguments.count >= 2 else { return }
        reporter.key(at: 1, .read)
        var isOutput = false
        var index = arguments[2]?.matches("TIMEOUT") == true ? 5 : 3
        while let word = arguments[index] {
            if !isOutput, word.matches("OUTPUTS") {
                isOutput = true
            } else {
                reporter.key(at: index, isOutput ? .overwrite : .read)
            }
            index += 1
        }
    }
}

// MARK: Texts

extension CommandError {
    static let insideTransaction = CommandError("ERR Cannot run RedisAI command within a transaction or a LUA script")
}
