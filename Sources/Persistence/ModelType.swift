public import Inference
public import RedisModuleKit

/// How models are kept in data files.
///
/// Layout 4, which is written: engine number, device, tag, batch size, minimum batch size, minimum batch timeout, the names
/// of inputs and of outputs, then the blob's length, its number of pieces and the pieces. Device and names carry a trailing
/// NUL. In what the layouts before it differ is ``ModelLayout``.
public enum ModelType {
    /// Models as values of keys.
    public static let valueType = ValueType<Model>(
        name: "AI__MODEL", storeEvent: "ai.modelstore", deleteEvent: "ai.modeldel")
    static let encodingVersion: Int32 = 4
    /// More names than any real model has: a bound for what a payload can make the server read.
    private static let nameLimit = 100_000

    /// Registers the type; false when the server refuses it.
    public static func register(_ module: ModuleContext) -> Bool {
        valueType.register(
            module, encodingVersion: encodingVersion,
            callbacks: ValueTypeCallbacks(
                load: { file, version in
                    DataFileReader(file).flatMap { ModelType.load($0, version) }.map(ValueTypeCallbacks.give)
                },
                save: { file, value in
                    guard let file = DataFileWriter(file), let value else { return }
                    ModelType.save(ValueTypeCallbacks.borrow(value), file)
                },
                rewrite: { file, key, value in
                    guard let file = AppendOnlyFileWriter(file, key: key), let value else { return }
                    ModelType.rewrite(ValueTypeCallbacks.borrow(value), file)
                },
                memoryUsage: { value in
                    guard let value else { return 0 }
                    return ModelType.memoryUsage(ValueTypeCallbacks.borrow(value))
                },
                digest: { digest, value in
                    guard let digest = DigestWriter(digest), let value else { return }
                    ModelType.digest(ValueTypeCallbacks.borrow(value), digest)
                },
                // Letting go of a model is cheap here: a loader thread frees what the engine holds.
                freeEffort: { _, _ in 1 }))
    }

    private static func memoryUsage(_ model: Model) -> Int {
        MemoryLayout<ModelDefinition>.size + model.definition.blob.byteCount + model.engineMemoryUsage
    }

    // MARK: RDB

    /// Reads a model and has it loaded in the background: a model that cannot be loaded does not keep the server from
    /// starting.
    private static func load(_ file: DataFileReader, _ version: Int32) -> Model? {
        do {
            let engine = InferenceEngine.shared
            let model = engine.makeModel(try definition(file, ModelLayout(version), engine.registry))
            engine.directory.add(model)
            return model
        } catch {
            file.logError("a model could not be read (layout \(version)): \(error)")
            return nil
        }
    }

    private static func definition(
        _ file: DataFileReader, _ layout: ModelLayout, _ registry: BackendRegistry
    ) throws(DataFileError) -> ModelDefinition {
        guard let backend = registry.description(withID: try file.count()),
            let device = Device(try file.string().text)
        else { throw DataFileError() }
        let tag = try file.string().bytes(terminated: layout.hasTerminatedTag)
        let batching = try batching(file, layout)
        let inputNames = try names(file)
        let outputNames = try names(file)
        guard !backend.takesNames || hasCommandForm(inputNames, outputNames) else { throw DataFileError() }
        return ModelDefinition(
            key: file.keyName ?? [], backend: backend, device: device, tag: tag, batching: batching,
            inputNames: inputNames, outputNames: outputNames, blob: try blob(file, layout))
    }

    /// Numbers that mean nothing without another, and that no command accepts, are forgotten.
    private static func batching(
        _ file: DataFileReader, _ layout: ModelLayout
    ) throws(DataFileError) -> ModelDefinition.Batching {
        var batching = ModelDefinition.Batching()
        batching.size = try file.count()
        batching.minimumSize = try file.count()
        batching.minimumTimeout = layout.hasMinimumTimeout ? try file.count() : 0
        if batching.size == 0 { batching.minimumSize = 0 }
        if batching.minimumSize == 0 { batching.minimumTimeout = 0 }
        return batching
    }

    /// Whether a command can make a model with these names: AI.MODELSET, which takes lists without names, has words that
    /// end a list.
    private static func hasCommandForm(_ inputs: [String], _ outputs: [String]) -> Bool {
        guard inputs.isEmpty || outputs.isEmpty else { return true }
        return (inputs + outputs).allSatisfy { !["BLOB", "OUTPUTS"].contains($0.uppercased()) }
    }

    private static func names(_ file: DataFileReader) throws(DataFileError) -> [String] {
        let count = try file.count()
        guard count <= nameLimit else { throw DataFileError() }
        var names: [String] = []
        for _ in 0..<count { names.append(try file.string().text) }
        return names
    }

    private static func blob(_ file: DataFileReader, _ layout: ModelLayout) throws(DataFileError) -> ModelBlob {
        guard layout.hasPieces else { return ModelBlob([try file.string()]) }
        let byteCount = try file.count()
        let pieceCount = try file.count()
        var pieces = GatheredPieces()
        for _ in 0..<pieceCount { pieces.append(try file.string()) }
        let blob = pieces.blob()
        guard blob.byteCount == byteCount else { throw DataFileError() }
        return blob
    }

    private static func save(_ model: Model, _ file: DataFileWriter) {
        let definition = model.definition
        file.unsigned(definition.backend.id)
        file.terminatedString(definition.device.name)
        definition.tag.withUnsafeBytes { file.string($0) }
        file.unsigned(definition.batching.size)
        file.unsigned(definition.batching.minimumSize)
        file.unsigned(definition.batching.minimumTimeout)
        for names in [model.inputNames, model.outputNames] {
            file.unsigned(names.count)
            for name in names { file.terminatedString(name) }
        }
        file.unsigned(definition.blob.byteCount)
        file.unsigned(definition.blob.pieceCount(of: definition.blob.pieceSize))
        definition.blob.forEachPiece(of: definition.blob.pieceSize) { file.string($0) }
    }

    // MARK: Append-only file

    private static func rewrite(_ model: Model, _ file: AppendOnlyFileWriter) {
        let definition = model.definition
        // AI.MODELSTORE wants names of both kinds where it takes any; a model without was stored by AI.MODELSET.
        let isDeprecatedForm =
            definition.backend.takesNames && (definition.inputNames.isEmpty || definition.outputNames.isEmpty)
        var line = CommandLine(capacity: 16)
        line.append(file.keyArgument)
        line.append(definition.backend.name)
        line.append(definition.device.name)
        line.append("TAG")
        definition.tag.withUnsafeBytes { line.append($0) }
        let batching = definition.batching
        for (word, value) in [
            ("BATCHSIZE", batching.size), ("MINBATCHSIZE", batching.minimumSize),
            ("MINBATCHTIMEOUT", batching.minimumTimeout),
        ] where value > 0 || !isDeprecatedForm {
            line.append(word)
            line.append(String(value))
        }
        if definition.backend.takesNames {
            for (word, names) in [("INPUTS", definition.inputNames), ("OUTPUTS", definition.outputNames)] {
                line.append(word)
                if !isDeprecatedForm { line.append(String(names.count)) }
                for name in names { line.append(name) }
            }
        }
        line.append("BLOB")
        definition.blob.forEachPiece(of: definition.blob.pieceSize) { line.append($0) }
        file.emit(isDeprecatedForm ? "AI.MODELSET" : "AI.MODELSTORE", line)
    }

    // MARK: DEBUG DIGEST

    private static func digest(_ model: Model, _ digest: DigestWriter) {
        let definition = model.definition
        digest.add(definition.backend.name)
        digest.add(definition.device.name)
        definition.tag.withUnsafeBytes { digest.add($0) }
        digest.add(definition.batching.size)
        digest.add(definition.batching.minimumSize)
        digest.add(definition.batching.minimumTimeout)
        // Other names follow from the bytes, and are not known before the model is loaded.
        if definition.needsNames {
            for names in [definition.inputNames, definition.outputNames] {
                digest.add(names.count)
                for name in names { digest.add(name) }
            }
        }
        // However the bytes lie in memory, and without putting them together.
        definition.blob.forEachPiece(of: digestPieceSize) { digest.add($0) }
        digest.endSequence()
    }

    private static let digestPieceSize = 1 << 20
}

/// In what the layouts of models differ.
private struct ModelLayout {
    private let version: Int32

    init(_ version: Int32) throws(DataFileError) {
        guard (0...ModelType.encodingVersion).contains(version) else { throw DataFileError() }
        self.version = version
    }

    var hasTerminatedTag: Bool { version == 0 }
    /// Earlier layouts have the blob as one string.
    var hasPieces: Bool { version >= 1 }
    var hasMinimumTimeout: Bool { version >= 2 }
}
