internal import Inference
internal import RedisModuleKit

// The grammar of AI.MODELSET: that of AI.MODELSTORE without counts, and with checks of its own.
extension ModelClause {
    /// As ``parse(_:key:)``, for AI.MODELSET.
    func parseDeprecated(_ arguments: inout Arguments, key: Argument) throws(CommandError) -> ModelDefinition {
        let backend = try parseBackend(&arguments)
        let deviceName = try parseDeviceName(&arguments)
        let tag = parseTag(&arguments)
        let batching = try parseDeprecatedBatching(&arguments, backend)
        guard arguments.remaining > 0 else { throw .missingModelBlob }
        let names = try parseUncountedNames(&arguments, backend)
        guard arguments.consume("BLOB") else { throw .missingModelBlob }
        let blob = try parseBlob(&arguments)
        // It is the engine that refuses a device here, and so after everything else.
        guard let device = Device(deviceName) else { throw .unsupportedDevice(of: backend) }
        return ModelDefinition(
            key: key.bytes, backend: backend, device: device, tag: tag, batching: batching,
            inputNames: names.inputs, outputNames: names.outputs, blob: blob)
    }

    /// Anything that is short enough and no keyword.
    private func parseDeviceName(_ arguments: inout Arguments) throws(CommandError) -> String {
        let keywords: [StaticString] = [
            "INPUTS", "OUTPUTS", "TAG", "BATCHSIZE", "MINBATCHSIZE", "MINBATCHTIMEOUT", "BLOB",
        ]
        guard let device = arguments.next(), device.byteCount <= 10, !keywords.contains(where: { device.matches($0) })
        else { throw .invalidDevice }
        return device.text
    }

    /// An option that lacks the one before it is refused before its number is looked at.
    private func parseDeprecatedBatching(
        _ arguments: inout Arguments, _ backend: BackendDescription
    ) throws(CommandError) -> ModelDefinition.Batching {
        var batching = ModelDefinition.Batching()
        if arguments.consume("BATCHSIZE") {
            guard backend.name != "TFLITE" else { throw .batchingNotSupported }
            batching.size = try parseNumber(&arguments, of: "BATCHSIZE")
        }
        if arguments.consume("MINBATCHSIZE") {
            guard batching.size > 0 else { throw .minimumBatchWithoutBatch }
            batching.minimumSize = try parseNumber(&arguments, of: "MINBATCHSIZE")
        }
        if arguments.consume("MINBATCHTIMEOUT") {
            guard batching.size > 0 else { throw .batchTimeoutWithoutBatch }
            guard batching.minimumSize > 0 else { throw .batchTimeoutWithoutMinimum }
            batching.minimumTimeout = try parseNumber(&arguments, of: "MINBATCHTIMEOUT")
        }
        return batching
    }

    /// `INPUTS name ... OUTPUTS name ...` for an engine that needs names; for others whatever stands before the word
    /// BLOB is skipped. Either list may be empty.
    private func parseUncountedNames(
        _ arguments: inout Arguments, _ backend: BackendDescription
    ) throws(CommandError) -> (inputs: [String], outputs: [String]) {
        guard case .fromClient(let hasNames) = backend.names else {
            _ = takeNames(&arguments, until: "BLOB")
            return ([], [])
        }
        if isModelNext(arguments, thatHasNames: hasNames) { return ([], []) }
        if arguments.peek?.matches("BLOB") == true { throw .inputsAndOutputsNotSpecified }
        guard arguments.consume("INPUTS") else { throw .inputsNotSpecified }
        let inputs = takeNames(&arguments, until: "OUTPUTS", "BLOB")
        guard arguments.consume("OUTPUTS") else { throw .outputsNotSpecified }
        return (inputs, takeNames(&arguments, until: "BLOB"))
    }

    /// The arguments before the first of `keywords`, or to the end.
    private func takeNames(_ arguments: inout Arguments, until keywords: StaticString...) -> [String] {
        var names: [String] = []
        while let word = arguments.peek, !keywords.contains(where: { word.matches($0) }) {
            names.append(word.text)
            _ = arguments.next()
        }
        return names
    }
}

// MARK: Texts

extension CommandError {
    static let batchingNotSupported = CommandError("ERR Auto-batching not supported by the TFLITE backend")
    static let batchTimeoutWithoutBatch = CommandError("ERR MINBATCHTIMEOUT specified without BATCHSIZE")
    static let inputsAndOutputsNotSpecified = CommandError(
        "ERR Insufficient arguments, INPUTS and OUTPUTS not specified")

    /// The engines' text, which LiteRT's writes differently.
    static func unsupportedDevice(of backend: BackendDescription) -> CommandError {
        backend.name == "TFLITE" ? CommandError("ERR Unsupported device") : .unsupportedDevice
    }
}
