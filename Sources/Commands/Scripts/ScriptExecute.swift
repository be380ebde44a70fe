internal import Inference
internal import RedisModuleKit

/// `AI.SCRIPTEXECUTE key function [KEYS n key ...] [INPUTS n tensor ...] [ARGS n arg ...] [OUTPUTS n tensor ...] [TIMEOUT ms]`
/// runs a function of a script, and so does the deprecated `AI.SCRIPTRUN`.
enum ScriptExecute {
    static let command = Command(
        name: "ai.scriptexecute", flags: "write deny-oom", keys: .reported(shown: 5),
        documentation: CommandDocumentation(
            summary: "Runs a function of a script on tensors and stores its outputs as tensors.",
            complexity: "O(M) where M is the cost of the function, in the background", since: "1.2.5",
            arguments: [
                DocumentedArgument("key", .key(specification: -1)),
                DocumentedArgument("function", .text),
                section("KEYS", "key", .key(specification: -1)),
                section("INPUTS", "input", .key(specification: -1)),
                section("ARGS", "argument", .text),
                section("OUTPUTS", "output", .key(specification: -1)),
                DocumentedArgument("timeout", .integer, token: "TIMEOUT", optional: true),
            ]),
        entry: {
            runCommand($0, $1, $2, reportingKeys: ScriptCallClause.reportKeys) {
                context, arguments throws(CommandError) in
                try ScriptExecute.run(context, &arguments, named: "AI.SCRIPTEXECUTE") {
                    arguments throws(CommandError) in try ScriptCallClause(parsing: &arguments, in: .command)
                }
            }
        })

    static let deprecatedCommand = Command(
        name: "ai.scriptrun", flags: "write deny-oom", keys: .reported(shown: 4),
        documentation: CommandDocumentation(
            summary: "Runs a function of a script. Deprecated: use AI.SCRIPTEXECUTE.",
            complexity: "O(M) where M is the cost of the function, in the background", since: "1.0.0",
            arguments: [
                DocumentedArgument("key", .key(specification: -1)),
                DocumentedArgument("function", .text),
                DocumentedArgument("timeout", .integer, token: "TIMEOUT", optional: true),
                DocumentedArgument(
                    "input", .key(specification: -1), token: "INPUTS", optional: true, multiple: true),
                DocumentedArgument(
                    "output", .key(specification: -1), token: "OUTPUTS", optional: true, multiple: true),
            ]),
        entry: {
            runCommand($0, $1, $2, reportingKeys: ScriptCallClause.reportDeprecatedKeys) {
                context, arguments throws(CommandError) in
                try ScriptExecute.run(context, &arguments, named: "AI.SCRIPTRUN") {
                    arguments throws(CommandError) in try ScriptCallClause(parsingDeprecated: &arguments, in: .command)
                }
            }
        })

    private static func section(
        _ word: String, _ name: String, _ kind: DocumentedArgument.Kind
    ) -> DocumentedArgument {
        DocumentedArgument("\(name)s", .group(DocumentedArgument.counted(word, name, kind)), optional: true)
    }

    private static func run(
        _ context: CommandContext, _ arguments: inout Arguments, named name: String,
        parse: (inout Arguments) throws(CommandError) -> ScriptCallClause
    ) throws(CommandError) -> Reply {
        guard context.allowsBlocking else { throw .insideTransaction }
        guard arguments.count >= 3, let key = arguments.next(), let function = arguments.next() else {
            throw .wrongArity(of: name)
        }
        let clause = try parse(&arguments)
        let script = try context.script(at: key)
        let effects = ScriptEffects(context, declaredKeys: clause.keys)
        return try PendingRequest.start(
            .script(script, clause.call(function, context, effects)), inputs: clause.inputs,
            outputs: clause.outputs, timeout: clause.timeout, effects: effects, context)
    }
}
