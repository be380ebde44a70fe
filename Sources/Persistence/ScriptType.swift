public import Inference
public import RedisModuleKit

/// How scripts are kept in data files.
///
/// Layout 4, which is written: device, tag, source, then the number of entry points and their names. All but the tag carry
/// a trailing NUL. In what the layouts before it differ is ``ScriptLayout``.
public enum ScriptType {
    /// Scripts as values of keys.
    public static let valueType = ValueType<Script>(
        name: "AI_SCRIPT", storeEvent: "ai.scriptstore", deleteEvent: "ai.scriptdel")
    static let encodingVersion: Int32 = 4
    /// More functions than any real script has: a bound for what a payload can make the server read.
    private static let entryPointLimit = 100_000
    /// The number of the engine that compiles scripts.
    private static let backendID = 2

    /// Registers the type; false when the server refuses it.
    public static func register(_ module: ModuleContext) -> Bool {
        valueType.register(
            module, encodingVersion: encodingVersion,
            callbacks: ValueTypeCallbacks(
                load: { file, version in
                    DataFileReader(file).flatMap { ScriptType.load($0, version) }.map(ValueTypeCallbacks.give)
                },
                save: { file, value in
                    guard let file = DataFileWriter(file), let value else { return }
                    ScriptType.save(ValueTypeCallbacks.borrow(value), file)
                },
                rewrite: { file, key, value in
                    guard let file = AppendOnlyFileWriter(file, key: key), let value else { return }
                    ScriptType.rewrite(ValueTypeCallbacks.borrow(value), file)
                },
                memoryUsage: { value in
                    guard let value else { return 0 }
                    let script: Script = ValueTypeCallbacks.borrow(value)
                    return MemoryLayout<ScriptDefinition>.size + script.definition.source.count
                },
                digest: { digest, value in
                    guard let digest = DigestWriter(digest), let value else { return }
                    ScriptType.digest(ValueTypeCallbacks.borrow(value), digest)
                },
                // Letting go of a script is cheap here: another thread frees what the engine holds.
                freeEffort: { _, _ in 1 }))
    }

    // MARK: RDB

    /// Reads a script and has it compiled in the background: one that does not compile does not keep the server from
    /// starting.
    private static func load(_ file: DataFileReader, _ version: Int32) -> Script? {
        do {
            let engine = InferenceEngine.shared
            let script = engine.makeScript(try definition(file, ScriptLayout(version), engine.registry))
            engine.directory.add(script)
            return script
        } catch {
            file.logError("a script could not be read (layout \(version)): \(error)")
            return nil
        }
    }

    private static func definition(
        _ file: DataFileReader, _ layout: ScriptLayout, _ registry: BackendRegistry
    ) throws(DataFileError) -> ScriptDefinition {
        guard let backend = registry.description(withID: backendID), let device = Device(try file.string().text) else {
            throw DataFileError()
        }
        let tag = try file.string().bytes(terminated: layout.hasTerminatedTag)
        let source = try file.string()
        guard source.byteCount <= ScriptDefinition.sizeLimit + 1 else { throw DataFileError() }
        let count = layout.hasEntryPoints ? try file.count() : 0
        guard count <= entryPointLimit else { throw DataFileError() }
        var entryPoints: [String] = []
        for _ in 0..<count { entryPoints.append(try file.string().text) }
        return ScriptDefinition(
            key: file.keyName ?? [], backend: backend, device: device, tag: tag, entryPoints: entryPoints,
            source: source.bytes(terminated: true))
    }

    private static func save(_ script: Script, _ file: DataFileWriter) {
        let definition = script.definition
        file.terminatedString(definition.identity.device.name)
        definition.identity.tag.withUnsafeBytes { file.string($0) }
        (definition.source + [0]).withUnsafeBytes { file.string($0) }
        file.unsigned(definition.entryPoints.count)
        for name in definition.entryPoints { file.terminatedString(name) }
    }

    // MARK: Append-only file

    private static func rewrite(_ script: Script, _ file: AppendOnlyFileWriter) {
        let definition = script.definition
        var line = CommandLine(capacity: 8 + definition.entryPoints.count)
        line.append(file.keyArgument)
        line.append(definition.identity.device.name)
        line.append("TAG")
        definition.identity.tag.withUnsafeBytes { line.append($0) }
        // AI.SCRIPTSTORE wants entry points; a script without any was stored by AI.SCRIPTSET.
        if !definition.entryPoints.isEmpty {
            line.append("ENTRY_POINTS")
            line.append(String(definition.entryPoints.count))
            for name in definition.entryPoints { line.append(name) }
        }
        line.append("SOURCE")
        definition.source.withUnsafeBytes { line.append($0) }
        file.emit(definition.entryPoints.isEmpty ? "AI.SCRIPTSET" : "AI.SCRIPTSTORE", line)
    }

    // MARK: DEBUG DIGEST

    private static func digest(_ script: Script, _ digest: DigestWriter) {
        let definition = script.definition
        digest.add(definition.identity.device.name)
        definition.identity.tag.withUnsafeBytes { digest.add($0) }
        for name in definition.entryPoints { digest.add(name) }
        definition.source.withUnsafeBytes { digest.add($0) }
        digest.endSequence()
    }
}

/// In what the layouts of scripts differ.
private struct ScriptLayout {
    private let version: Int32

    init(_ version: Int32) throws(DataFileError) {
        guard (0...ScriptType.encodingVersion).contains(version) else { throw DataFileError() }
        self.version = version
    }

    var hasTerminatedTag: Bool { version == 0 }
    /// Scripts of earlier layouts have none: their functions are called by their signatures.
    var hasEntryPoints: Bool { version >= 3 }
}
