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
    private let memory = GraphMemory.take()
    /// Of all scripts together.
    private var effects: ScriptEffects?
    /// Whether an operation takes a tensor that nothing before it has made. Told when all operations have been read.
    private var lacksInput = false

    init(_ variant: Variant, _ context: CommandContext) {
        self.variant = variant
        self.context = context
    }

    /// Reads a whole command, from its first argument on.
    mutating func parse(_ arguments: inout Arguments) throws(CommandError) -> GraphHeader {
        let header = try GraphHeader(
            parsing: &arguments, isReadOnly: variant.isReadOnly, context, into: &memory.plan, &memory.names)
        try split(&arguments)
        guard header.namesShard || variant.isDeprecated else { throw .graphWithoutShard }
        guard !memory.operations.isEmpty else { throw .emptyGraph }
        try checkUnreportedKeys(of: memory.operations, arguments)
        memory.prepare()
        for index in memory.operations.indices {
            var operation = memory.operations[index]
            try parse(operation: &operation)
        }
        guard !lacksInput else { throw .graphInputMissing }
        return header
    }

    /// Has the operations carried out, and `persisted` stored.
    func start(persisting persisted: ArgumentSlice?, timeout: Int?) throws(CommandError) -> Reply {
        let outputs = try outputs(persisted)
        var elements: [GraphReply.Element] = []
        swap(&elements, &memory.elements)
        let reply = try PendingRequest.start(
            &memory.plan, outputs: outputs, answer: .elements(elements), timeout: timeout, effects: effects, context)
        memory.giveBack()
        return reply
    }

    /// The slots of the keys that are to be stored.
    private func outputs(_ keys: ArgumentSlice?) throws(CommandError) -> [PendingRequest.Output] {
        guard let keys else { return [] }
        var outputs: [PendingRequest.Output] = []
        for key in keys {
            guard let slot = memory.names[key] else { throw .graphOutputMissing }
            outputs.append(PendingRequest.Output(key: ServerString(holding: key), slot: slot))
        }
        return outputs
    }

    /// The operations, each as a command of its own: what stands between one `|>` and the next.
    private mutating func split(_ arguments: inout Arguments) throws(CommandError) {
        while let separator = arguments.next() {
            guard let first = arguments.peek else { throw .unexpectedGraphArgument(separator) }
            guard !GraphHeader.isClause(first) else { throw .unexpectedGraphArgument(first) }
            memory.operations.append(Self.nextOperation(&arguments))
        }
    }

    /// Consumes the operation that begins here, up to the next `|>` or the end.
    static func nextOperation(_ arguments: inout Arguments) -> Arguments {
        let start = arguments.position
        var mayHaveBlob = arguments.peek?.matches("AI.TENSORSET") == true
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
        return arguments.command(from: start, count: arguments.position - start)
    }

    // MARK: Permissions

    /// Asks the access control list about the keys that the server does not know of, since a cluster does not route by them:
    /// the models and scripts of the deprecated operations, and the KEYS of scripts. Before any of them is looked up.
    private func checkUnreportedKeys(
        of operations: [Arguments], _ command: Arguments
    ) throws(CommandError) {
        var read: [[UInt8]] = []
        var written: [[UInt8]] = []
        for operation in operations {
            guard let name = operation[0] else { continue }
            if name.matches("AI.MODELRUN") || name.matches("AI.SCRIPTRUN") {
                if let key = operation[1] { read.append(key.bytes) }
            } else if name.matches("AI.SCRIPTEXECUTE") {
                written += ScriptCallClause.declaredKeys(operation).map(\.bytes)
            }
        }
        guard !read.isEmpty || !written.isEmpty else { return }
        let permissions = context.permissions
        // Asked as if the command had named them: one rule of the list has to allow all of it.
        let clauses = Self.clause("LOAD", read + written) + Self.clause("PERSIST", written)
        if permissions.allowCommand(command, inserting: clauses) { return }
        let denied =
            read.first { !permissions.allow(.read, to: $0) }
            ?? written.first { !permissions.allow(.readWrite, to: $0) } ?? read.first ?? written[0]
        throw permissions.refusal(of: denied)
    }

    private static func clause(_ word: String, _ keys: [[UInt8]]) -> [[UInt8]] {
        keys.isEmpty ? [] : [Array(word.utf8), Array(String(keys.count).utf8)] + keys
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
        let tensor = try TensorClause.parse(&operation, isCopy: false)
        memory.names.define(name, memory.plan.add(tensor))
        memory.elements.append(.tensorSet)
    }

    private mutating func parseTensorGet(_ operation: inout Arguments) throws(CommandError) {
        guard (2...4).contains(operation.count), let name = operation.next() else {
            throw CommandError("wrong number of arguments for 'AI.TENSORGET' command")
        }
        let form = try TensorReply.Form(parsing: &operation)
        memory.elements.append(.tensorGet(slot: slot(of: name), form))
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
        if effects == nil { effects = ScriptEffects(context, ofGraph: memory.operations) }
        addStep(
            .script(script, clause.call(function, context, effects)), inputs: clause.inputs, outputs: clause.outputs)
    }

    private mutating func addStep(
        _ work: RequestPlan.Work, inputs: some Collection<Argument>, outputs: some Collection<Argument>
    ) {
        for input in inputs { memory.plan.addInput(slot(of: input)) }
        memory.elements.append(.step(memory.plan.steps.count))
        var slot = memory.plan.add(work, outputCount: outputs.count).lowerBound
        for name in outputs {
            memory.names.define(name, slot)
            slot += 1
        }
    }

    private mutating func slot(of name: Argument) -> Int {
        if let slot = memory.names[name] { return slot }
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
