internal import Inference
internal import Persistence
internal import RedisModuleKit

/// The part of AI.MODELSTORE, and of AI.MODELSET, that describes a model: everything after the key.
struct ModelClause {
    let registry: BackendRegistry

    init(_ registry: BackendRegistry) {
        self.registry = registry
    }

    /// Reads a model's definition, to the end of the arguments. The blob's bytes stay where they are.
    func parse(_ arguments: inout Arguments, key: Argument) throws(CommandError) -> ModelDefinition {
        let backend = try parseBackend(&arguments)
        guard let device = arguments.next().flatMap({ Device($0.excerpt) }) else { throw .invalidDevice }
        let tag = parseTag(&arguments)
        let batching = try parseBatching(&arguments)
        guard arguments.remaining > 0 else { throw .missingModelBlob }
        let names = try parseNames(&arguments, backend)
        guard arguments.consume("BLOB") else { throw .expectedBlob }
        return ModelDefinition(
            key: key.bytes, backend: backend, device: device, tag: tag, batching: batching,
            inputNames: names.inputs, outputNames: names.outputs, blob: try parseBlob(&arguments))
    }

    func parseBackend(_ arguments: inout Arguments) throws(CommandError) -> BackendDescription {
        guard let backend = arguments.next().flatMap({ registry.description(named: $0.excerpt) }) else {
            throw .unsupportedBackend
        }
        return backend
    }

    /// The word TAG may end the command: what is missing then is the blob.
    func parseTag(_ arguments: inout Arguments) -> [UInt8] {
        arguments.consume("TAG") ? arguments.next()?.bytes ?? [] : []
    }

    private func parseBatching(_ arguments: inout Arguments) throws(CommandError) -> ModelDefinition.Batching {
        var batching = ModelDefinition.Batching()
        if arguments.consume("BATCHSIZE") {
            batching.size = try parseNumber(&arguments, of: "BATCHSIZE")
        }
        if arguments.consume("MINBATCHSIZE") {
            batching.minimumSize = try parseNumber(&arguments, of: "MINBATCHSIZE")
            if batching.minimumSize > 0, batching.size == 0 { throw .minimumBatchWithoutBatch }
        }
        if arguments.consume("MINBATCHTIMEOUT") {
            batching.minimumTimeout = try parseNumber(&arguments, of: "MINBATCHTIMEOUT")
            if batching.minimumTimeout > 0, batching.minimumSize == 0 { throw .batchTimeoutWithoutMinimum }
        }
        return batching
    }

    /// A number of rows or milliseconds.
    func parseNumber(_ arguments: inout Arguments, of option: String) throws(CommandError) -> Int {
        guard let number = arguments.next()?.integerOrWholeNumber, number >= 0 else {
            throw CommandError("ERR Invalid argument for \(option)")
        }
        return number
    }

    /// `INPUTS n name ... OUTPUTS n name ...`, which an engine needs, refuses, or does without for some formats.
    private func parseNames(
        _ arguments: inout Arguments, _ backend: BackendDescription
    ) throws(CommandError) -> (inputs: [String], outputs: [String]) {
        guard case .fromClient(let hasNames) = backend.names else {
            if arguments.peek?.matches("INPUTS") == true { throw .inputsNotAllowed }
            return ([], [])
        }
        if isModelNext(arguments, thatHasNames: hasNames) { return ([], []) }
        guard arguments.consume("INPUTS") else { throw CommandError("ERR INPUTS not specified for \(backend.name)") }
        let inputs = try parseNameList(&arguments, badCount: .invalidInputCount, tooFew: .tooFewInputNames)
        guard arguments.consume("OUTPUTS") else { throw CommandError("ERR OUTPUTS not specified for \(backend.name)") }
        let outputs = try parseNameList(&arguments, badCount: .invalidOutputCount, tooFew: .tooFewOutputNames)
        return (inputs, outputs)
    }

    /// Whether the word BLOB is next, and a model whose file names its inputs and outputs.
    func isModelNext(_ arguments: Arguments, thatHasNames hasNames: (UnsafeRawBufferPointer) -> Bool) -> Bool {
        arguments.peek?.matches("BLOB") == true
            && startOfModel(arguments).withUnsafeBytes { $0.count > 0 && hasNames($0) }
    }

    /// The model's first bytes, which may come in any number of arguments after the word BLOB, which is next.
    private func startOfModel(_ arguments: Arguments) -> [UInt8] {
        var start: [UInt8] = []
        var position = arguments.position + 1
        while start.count < NamesRule.startSize, let chunk = arguments[position] {
            chunk.withBytes { start += $0.prefix(NamesRule.startSize - start.count) }
            position += 1
        }
        return start
    }

    private func parseNameList(
        _ arguments: inout Arguments, badCount: CommandError, tooFew: CommandError
    ) throws(CommandError) -> [String] {
        guard let count = arguments.next()?.integer, count > 0 else { throw badCount }
        guard let names = arguments.take(count) else { throw tooFew }
        return names.map(\.text)
    }

    /// What follows the word BLOB, to the end of the arguments.
    func parseBlob(_ arguments: inout Arguments) throws(CommandError) -> ModelBlob {
        guard arguments.remaining > 0 else { throw .missingModelBlob }
        return ModelBlob(arguments.takeAll().map { ServerString(holding: $0) })
    }
}

// MARK: Texts

extension CommandError {
    static let unsupportedBackend = CommandError("ERR unsupported backend")
    static let invalidDevice = CommandError("ERR Invalid DEVICE")
    static let minimumBatchWithoutBatch = CommandError("ERR MINBATCHSIZE specified without BATCHSIZE")
    static let batchTimeoutWithoutMinimum = CommandError("ERR MINBATCHTIMEOUT specified without MINBATCHSIZE")
    static let missingModelBlob = CommandError("ERR Insufficient arguments, missing model BLOB")
    static let inputsNotAllowed = CommandError("ERR INPUTS argument should not be specified for this backend")
    static let expectedBlob = CommandError("ERR Invalid argument, expected BLOB")
    static let invalidInputCount = CommandError("ERR Invalid argument for input_count")
    static let invalidOutputCount = CommandError("ERR Invalid argument for output_count")
    static let tooFewInputNames = CommandError(
        "ERR number of model inputs does not match the number of given arguments")
    static let tooFewOutputNames = CommandError(
        "ERR number of model outputs does not match the number of given arguments")
}
