internal import Inference
internal import RedisModuleKit
internal import Tensors

/// Turns the operations of a DAG command into the steps of a plan.
struct GraphParser {
    /// Which of the four DAG commands it is.
    struct Variant {
        let name: StaticString
        let isReadOnly: Bool
        /// Takes the deprecated operations, and only those.
        let isDeprecated: Bool
    }

    private let variant: Variant
    private let context: CommandContext
    private(set) var plan = RequestPlan()
    private(set) var elements: [GraphReply.Element] = []
    /// Of all scripts together.
    private(set) var effects: ScriptEffects?
    private var names = LocalNames()
    /// Whether an operation takes a tensor that nothing before it has made. Told when all operations have been read.
    private var lacksInput = false

    init(_ variant: Variant, _ context: CommandContext) {
        self.variant = variant
        self.context = context
    }

    /// Reads a whole command, from its first argument on.
    mutating func parse(_ arguments: inout Arguments) throws(CommandError) -> GraphHeader {
        let header = try GraphHeader(
            parsing: &arguments, isReadOnly: variant.isReadOnly, context, into: &plan, &names)
        let operations = try Self.split(&arguments)
        guard header.namesShard || variant.isDeprecated else { throw .graphWithoutShard }
        guard !operations.isEmpty else { throw .emptyGraph }
        elements.reserveCapacity(operations.count)
        for operation in operations {
            var operation = operation
            try parse(operation: &operation)
        }
        guard !lacksInput else { throw .graphInputMissing }
        return header
    }

    /// The slots of the keys that are to be stored.
    func outputs(_ keys: ArgumentSlice?) throws(CommandError) -> [PendingRequest.Output] {
        guard let keys else { return [] }
        var outputs: [PendingRequest.Output] = []
        for key in keys {
            guard let slot = names[key] else { throw .graphOutputMissing }
            outputs.append(PendingRequest.Output(key: ServerString(holding: key), slot: slot))
        }
        return outputs
    }

    /// The operations, each as a command of its own: what stands between one `|>` and the next.
    private static func split(_ arguments: inout Arguments) throws(CommandError) -> [Arguments] {
        var operations: [Arguments] = []
        operations.reserveCapacity(4)
        while let separator = arguments.next() {
            guard let first = arguments.peek else { throw .unexpectedGraphArgument(separator) }
            guard !GraphHeader.isClause(first) else { throw .unexpectedGraphArgument(first) }
            let start = arguments.position
            var mayHaveBlob = first.matches("AI.TENSORSET")
            while let word = arguments.peek, !word.matches("|>") {
                _ = arguments.next()
                // The key may be called like one of these words, and so may a value.
                guard mayHaveBlob, arguments.position > start + 2 else { continue }
                if word.matches("BLOB") {
                    // Data may be any bytes, those of the separator included.
                    _ = arguments.next()
                    mayHaveBlob = false
                } else if word.matches("VALUES") {
                    mayHaveBlob = false
                }
            }
            operations.append(arguments.command(from: start, count: arguments.position - start))
        }
        return operations
    }

    // MARK: Operations

    private mutating func parse(operation: inout Arguments) throws(CommandError) {
        guard let name = operation[0] else { throw .unsupportedInGraph }
        if name.matches("AI.TENSORSET") {
            try parseTensorSet(&operation)
        } else if name.matches("AI.TENSORGET") {
            try parseTensorGet(&operation)
        } else if name.matches("AI.MODELEXECUTE") {
            guard !variant.isDeprecated else { throw .modernInDeprecatedGraph("AI.MODELEXECUTE") }
            try parseModelCall(&operation, "AI.MODELEXECUTE", ModelCallClause.init(parsing:for:in:), minimum: 8)
        } else if name.matches("AI.MODELRUN") {
            guard variant.isDeprecated else { throw .deprecatedInGraph("AI.MODELRUN") }
            try parseModelCall(&operation, "AI.MODELRUN", ModelCallClause.init(parsingDeprecated:for:in:), minimum: 6)
        } else if name.matches("AI.SCRIPTEXECUTE") {
            guard !variant.isDeprecated else { throw .modernInDeprecatedGraph("AI.SCRIPTEXECUTE") }
            guard !variant.isReadOnly else { throw .scriptInReadOnlyGraph }
            try parseScriptCall(&operation, "AI.SCRIPTEXECUTE", ScriptCallClause.init(parsing:in:))
        } else if name.matches("AI.SCRIPTRUN") {
            guard variant.isDeprecated else { throw .deprecatedInGraph("AI.SCRIPTRUN") }
            try parseScriptCall(&operation, "AI.SCRIPTRUN", ScriptCallClause.init(parsingDeprecated:in:))
        } else {
            throw .unsupportedInGraph
        }
    }

    private mutating func parseTensorSet(_ operation: inout Arguments) throws(CommandError) {
        guard operation.count >= 4, let name = operation.next() else {
            throw CommandError("wrong number of arguments for 'AI.TENSORSET' command")
        }
        let tensor = try TensorClause.parse(&operation, allowsEmptyDimensions: false)
        names.define(name, plan.add(tensor))
        elements.append(.tensorSet)
    }

    private mutating func parseTensorGet(_ operation: inout Arguments) throws(CommandError) {
        guard (2...4).contains(operation.count), let name = operation.next() else {
            throw CommandError("wrong number of arguments for 'AI.TENSORGET' command")
        }
        let form = try TensorReply.Form(parsing: &operation)
        elements.append(.tensorGet(slot: slot(of: name), form))
    }

    private mutating func parseModelCall(
        _ operation: inout Arguments, _ command: String,
        _ parse: (inout Arguments, Model, CallPlace) throws(CommandError) -> ModelCallClause, minimum: Int
    ) throws(CommandError) {
        guard operation.count >= minimum, let key = operation.next() else { throw .wrongArity(of: command) }
        let model = try context.model(at: key)
        let call = try parse(&operation, model, .graph)
        addStep(.model(model), inputs: call.inputs, outputs: call.outputs)
    }

    private mutating func parseScriptCall(
        _ operation: inout Arguments, _ command: String,
        _ parse: (inout Arguments, CallPlace) throws(CommandError) -> ScriptCallClause
    ) throws(CommandError) {
        guard operation.count >= 3, let key = operation.next(), let function = operation.next() else {
            throw .wrongArity(of: command)
        }
        let clause = try parse(&operation, .graph)
        let script = try context.script(at: key)
        if effects == nil { effects = ScriptEffects(context) }
        addStep(
            .script(script, clause.call(function, context, effects)), inputs: clause.inputs, outputs: clause.outputs)
    }

    private mutating func addStep(
        _ work: RequestPlan.Work, inputs: some Collection<Argument>, outputs: some Collection<Argument>
    ) {
        var slots: [Int] = []
        slots.reserveCapacity(inputs.count)
        for input in inputs { slots.append(slot(of: input)) }
        elements.append(.step(plan.steps.count))
        let outputSlots = plan.add(work, inputs: slots, outputCount: outputs.count)
        for (name, slot) in zip(outputs, outputSlots) { names.define(name, slot) }
    }

    private mutating func slot(of name: Argument) -> Int {
        if let slot = names[name] { return slot }
        lacksInput = true
        return 0
    }
}

// MARK: Texts

extension CommandError {
    static let graphWithoutShard = CommandError(
        "ERR AI.DAGEXECUTE and AI.DAGEXECUTE_RO commands must contain at least one out of ROUTING, LOAD, PERSIST keywords"
    )
    static let emptyGraph = CommandError("ERR DAG is empty")
    static let unsupportedInGraph = CommandError("Unsupported command within DAG")
    static let scriptInReadOnlyGraph = CommandError(
        "ERR AI.SCRIPTEXECUTE command cannot be specified in a read-only DAG")
    static let graphInputMissing = CommandError(.inputHasNoTensor)
    static let graphOutputMissing = CommandError("ERR PERSIST key cannot be found in DAG")

    static func deprecatedInGraph(_ command: String) -> CommandError {
        CommandError("Deprecated \(command) cannot be used in AI.DAGEXECUTE command")
    }

    static func modernInDeprecatedGraph(_ command: String) -> CommandError {
        CommandError("\(command) cannot be used in a deprecated AI.DAGRUN command")
    }
}
