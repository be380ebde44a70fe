internal import Inference
internal import RedisModuleKit

/// `AI.DAGEXECUTE {[LOAD n key ...] [PERSIST n key ...] [ROUTING key-or-tag] [TIMEOUT ms]} |> operation |> operation ...`
/// carries several operations out in one go, on tensors that only it sees; with its form for replicas and the two
/// deprecated ones.
enum DAGExecute {
    static let commands = [
        command(
            "ai.dagexecute", "Carries several operations out in one go and stores some of their tensors.",
            isReadOnly: false,
            since: "1.2.5", entry: { answer($0, $1, $2, .execute) }),
        command(
            "ai.dagexecute_ro", "Carries several operations out in one go without storing anything.", isReadOnly: true,
            since: "1.2.5", entry: { answer($0, $1, $2, .executeReadOnly) }),
        command(
            "ai.dagrun", "Carries several operations out in one go. Deprecated: use AI.DAGEXECUTE.", isReadOnly: false,
            since: "1.0.0", entry: { answer($0, $1, $2, .deprecated) }),
        command(
            "ai.dagrun_ro", "Carries several operations out in one go. Deprecated: use AI.DAGEXECUTE_RO.",
            isReadOnly: true, since: "1.0.0",
            entry: { answer($0, $1, $2, .deprecatedReadOnly) }),
    ]

    private static func command(
        _ name: String, _ summary: String, isReadOnly: Bool, since: String, entry: @escaping RawCommand
    ) -> Command {
        let keyLists = (isReadOnly ? ["LOAD"] : ["LOAD", "PERSIST"]).map(keyList)
        return Command(
            name: name, flags: isReadOnly ? "readonly" : "write deny-oom", keys: .reported(shown: 3),
            documentation: CommandDocumentation(
                summary: summary, complexity: "O(M) where M is the cost of the operations, in the background",
                since: since,
                arguments: keyLists + [
                    DocumentedArgument("routing", .text, token: "ROUTING", optional: true),
                    DocumentedArgument("timeout", .integer, token: "TIMEOUT", optional: true),
                    DocumentedArgument("operation", .text, token: "|>", multiple: true),
                ]),
            entry: entry)
    }

    private static func keyList(_ word: String) -> DocumentedArgument {
        let name = word.lowercased()
        return DocumentedArgument(
            "\(name)-keys", .group(DocumentedArgument.counted(word, "\(name)-key", .key(specification: -1))),
            optional: true)
    }

    private static func answer(
        _ context: OpaquePointer?, _ argv: UnsafeMutablePointer<OpaquePointer?>?, _ argc: Int32,
        _ variant: GraphParser.Variant
    ) -> Int32 {
        runCommand(context, argv, argc, reportingKeys: reportKeys) { context, arguments throws(CommandError) in
            try run(variant, context, &arguments)
        }
    }

    private static func run(
        _ variant: GraphParser.Variant, _ context: CommandContext, _ arguments: inout Arguments
    ) throws(CommandError) -> Reply {
        guard context.allowsBlocking else { throw .insideTransaction }
        guard arguments.count >= (variant.isDeprecated ? 4 : 6) else { throw variant.wrongArity }
        var parser = GraphParser(variant, context)
        let header = try parser.parse(&arguments)
        return try parser.start(persisting: header.persisted, timeout: header.timeout)
    }

    // MARK: Keys

    /// Reports the keys of LOAD, PERSIST and ROUTING, and the models and scripts of the modern operations. What operations
    /// call their tensors are no keys, whatever the names. Stops where a count does not fit.
    ///
    /// Finds every key that the parser looks up, or the access control list would not be asked about it.
    private static func reportKeys(_ arguments: Arguments, _ reporter: KeyReporter) {
        var arguments = arguments
        while let word = arguments.peek, !word.matches("|>") {
            _ = arguments.next()
            if word.matches("LOAD") {
                guard reportList(&arguments, .read, reporter) else { return }
            } else if word.matches("PERSIST") {
                guard reportList(&arguments, .overwrite, reporter) else { return }
            } else if word.matches("ROUTING") {
                guard arguments.next() != nil else { return }
                reporter.key(at: arguments.position - 1, .read)
            }
        }
        while arguments.next() != nil {
            let position = arguments.position
            let operation = GraphParser.nextOperation(&arguments)
            guard let name = operation[0], operation.count > 1 else { continue }
            if name.matches("AI.MODELEXECUTE") || name.matches("AI.SCRIPTEXECUTE") {
                reporter.key(at: position + 1, .read)
            }
        }
    }

    /// Reports a count and as many keys; false when there are not as many.
    private static func reportList(
        _ arguments: inout Arguments, _ access: KeyAccess, _ reporter: KeyReporter
    ) -> Bool {
        guard let count = arguments.next()?.integer, count > 0 else { return false }
        let first = arguments.position
        let reported = min(count, arguments.remaining)
        for position in first..<first + reported { reporter.key(at: position, access) }
        return arguments.take(count) != nil
    }
}

extension GraphParser.Variant {
    fileprivate static let execute = Self(name: "AI.DAGEXECUTE", isReadOnly: false, isDeprecated: false)
    fileprivate static let executeReadOnly = Self(name: "AI.DAGEXECUTE_RO", isReadOnly: true, isDeprecated: false)
    fileprivate static let deprecated = Self(name: "AI.DAGRUN", isReadOnly: false, isDeprecated: true)
    fileprivate static let deprecatedReadOnly = Self(name: "AI.DAGRUN_RO", isReadOnly: true, isDeprecated: true)

    fileprivate var wrongArity: CommandError {
        isDeprecated ? .wrongArity(of: "\(name)") : CommandError("ERR missing arguments for '\(name)' command")
    }
}
