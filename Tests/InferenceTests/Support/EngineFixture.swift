import Synchronization
import Tensors
import TestSupport
import Testing

@testable import Inference

/// A started engine with a clock of its own and one backend, whose models the test makes by key.
final class EngineFixture: Sendable {
    let clock = ManualClock()
    let engine: InferenceEngine
    let inbox = Inbox()
    let backend: BackendDescription
    private let loadedKeys: LoadedKeys

    /// - Parameters:
    ///   - load: makes the engine's form of a model; called in a loader thread.
    ///   - compile: as `load`, of a script; nil for an engine that has no scripts.
    init(
        _ configuration: InferenceEngine.Configuration, load: @escaping FakeBackend.Load,
        compile: FakeScriptBackend.Compile? = nil
    ) throws {
        let keys = LoadedKeys()
        let models = FakeBackend { definition throws(InferenceError) in
            keys.append(String(decoding: definition.key, as: UTF8.self))
            return try load(definition)
        }
        let fake: any Backend = compile.map { FakeScriptBackend(models, onCompile: $0) } ?? models
        backend = BackendDescription(
            name: "FAKE", id: 9, defaultPath: "fake.so", names: .fromModel,
            open: { _, _ throws(InferenceError) in fake })
        loadedKeys = keys
        engine = InferenceEngine(backends: [backend], clock: clock.monotonic)
        try #require(engine.start(configuration, backendsPath: "/backends"))
    }

    /// Keys of the models that the backend was asked to load, in order.
    var loads: [String] { loadedKeys.all }

    /// Makes a model and puts it into the directory. It may not be loaded yet.
    func store(
        _ key: String = "m", device: String = "CPU", inputNames: [String] = [], outputNames: [String] = [],
        batching: ModelDefinition.Batching = .init(), completion: (@Sendable () -> Void)? = nil
    ) throws -> Model {
        let definition = try ModelDefinition.fake(
            key: key, device: device, backend: backend, inputNames: inputNames, outputNames: outputNames,
            batching: batching)
        let model = engine.makeModel(definition, completion: completion)
        engine.directory.add(model)
        return model
    }

    /// As ``store(_:device:inputNames:outputNames:batching:completion:)``, and waits until the model is ready or broken.
    func load(
        _ key: String = "m", device: String = "CPU", batching: ModelDefinition.Batching = .init()
    ) throws -> Model {
        let hasLoaded = Gate("\(key) is loaded")
        let model = try store(key, device: device, batching: batching) { hasLoaded.open() }
        try hasLoaded.wait()
        return model
    }

    func submit(_ value: Float, to model: Model, inputs: Int = 1, outputs: Int = 1) throws {
        let tensor = try makeTensor(.float, [value])
        engine.submit(
            inbox.request(
                RequestPlan(
                    .model(model), inputs: Array(repeating: tensor, count: inputs), outputCount: outputs)))
    }

    /// Makes a script and puts it into the directory. It may not be compiled yet.
    func storeScript(
        _ key: String = "s", entryPoints: [String] = [], completion: (@Sendable () -> Void)? = nil
    ) throws -> Script {
        let definition = try ScriptDefinition.fake(key: key, backend: backend, entryPoints: entryPoints)
        let script = engine.makeScript(definition, completion: completion)
        engine.directory.add(script)
        return script
    }

    /// As ``storeScript(_:entryPoints:completion:)``, and waits until the script is ready or broken.
    func loadScript(_ key: String = "s", entryPoints: [String] = []) throws -> Script {
        let hasLoaded = Gate("\(key) is compiled")
        let script = try storeScript(key, entryPoints: entryPoints) { hasLoaded.open() }
        try hasLoaded.wait()
        return script
    }

    func call(
        _ function: String = "f", of script: Script, _ value: Float = 1, keys: [String] = [], arguments: [String] = [],
        outputs: Int = 1, server: FakeServer = FakeServer()
    ) throws {
        let call = ScriptCall(
            function: function, keys: keys.map { Array($0.utf8) }, arguments: arguments.map { Array($0.utf8) },
            server: server)
        engine.submit(
            inbox.request(
                RequestPlan(
                    .script(script, call), inputs: [try makeTensor(.float, [value])], outputCount: outputs)))
    }

    private final class LoadedKeys: Sendable {
        private let keys = Mutex<[String]>([])

        var all: [String] { keys.withLock { $0 } }

        func append(_ key: String) {
            keys.withLock { $0.append(key) }
        }
    }
}

/// How a test wants its engine.
struct EngineSetup {
    var configuration = InferenceEngine.Configuration()
    private let load: FakeBackend.Load
    private let compile: FakeScriptBackend.Compile?

    init(
        load: @escaping FakeBackend.Load = { _ in FakeModel() }, compile: FakeScriptBackend.Compile? = nil
    ) {
        self.load = load
        self.compile = compile
        // One after the other, so that tests can tell what comes when.
        configuration.loaderThreads = 1
    }

    /// Runs `body` with an engine, and stops the engine. Models that `body` makes must not outlive it.
    func withEngine(_ body: (EngineFixture) throws -> Void) throws {
        let fixture = try EngineFixture(configuration, load: load, compile: compile)
        defer { #expect(fixture.engine.stop()) }
        try body(fixture)
    }
}

/// Runs `body` with an engine whose models return their inputs.
func withEngine(_ body: (EngineFixture) throws -> Void) throws {
    try EngineSetup().withEngine(body)
}

extension ArtifactPhase {
    var isLoading: Bool { if case .loading = self { true } else { false } }
    var isReady: Bool { if case .ready = self { true } else { false } }
    var error: InferenceError? { if case .broken(let error) = self { error } else { nil } }
}
