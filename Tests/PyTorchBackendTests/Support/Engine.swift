import BackendSupport
import CPyTorch
import Glibc
import Tensors
import TestSupport

@testable import Inference
@testable import PyTorchBackend

/// The real library, opened once: it has one memory limit per process.
enum Engine {
    struct Missing: Error, CustomStringConvertible {
        let description =
            "The environment variable REDISAI_TORCH does not name the library. "
            + "`make test-unit` sets it; by hand: eval \"$(python3 scripts/bootstrap env)\"."
    }

    /// Bytes that tensors may take together.
    static let memoryLimit = 256 * 1024 * 1024

    private static func path() throws -> String {
        guard let path = getenv("REDISAI_TORCH") else { throw Missing() }
        return String(cString: path)
    }

    private static let opened = Result {
        var settings = EngineSettings()
        settings.memoryLimit = memoryLimit
        return try PyTorchBackend(path: path(), settings: settings)
    }

    static func backend() throws -> PyTorchBackend {
        try opened.get()
    }

    private static let table = Result {
        _ = try backend()
        let function = try SharedLibrary(path: path()).function(
            REDISAI_TORCH_INTERFACE_SYMBOL, as: RedisAITorchInterfaceFunction.self)
        return UInt(bitPattern: function(REDISAI_TORCH_INTERFACE_VERSION))
    }

    /// What the library's own counter says is in use.
    static func memoryInUse() throws -> Int {
        let table = UnsafePointer<RedisAITorch>(bitPattern: try table.get())
        return try table?.pointee.memory_in_use() ?? { throw Missing() }()
    }

    static func compile(_ source: String, device: String = "CPU", entryPoints: [String] = []) throws -> TestScript {
        guard let device = Device(device) else { throw InferenceError("no device: \(device)") }
        let definition = ScriptDefinition(
            key: Array("s".utf8), backend: PyTorchBackend.description, device: device, tag: [],
            entryPoints: entryPoints, source: source.utf8)
        return TestScript(loaded: try backend().compile(definition), entryPoints: entryPoints)
    }

    static func load(_ archive: [UInt8], device: String = "CPU") throws -> any LoadedModel {
        guard let device = Device(device) else { throw InferenceError("no device: \(device)") }
        return try backend().load(
            ModelDefinition(
                key: Array("m".utf8), backend: PyTorchBackend.description, device: device, tag: [],
                batching: ModelDefinition.Batching(), inputNames: [], outputNames: [],
                blob: ModelBlob([Bytes(archive)])))
    }

    /// The text with which storing a script is refused.
    static func refusal(_ source: String, entryPoints: [String] = []) -> String? {
        do {
            _ = try compile(source, entryPoints: entryPoints)
            return nil
        } catch {
            return (error as? InferenceError)?.message ?? "\(error)"
        }
    }
}

/// A compiled script that can be called in few words.
struct TestScript: Sendable {
    let loaded: any LoadedScript
    let entryPoints: [String]

    /// Calls `function`, or the only entry point.
    func call(
        _ function: String = "f", _ inputs: [Tensor] = [], keys: [String] = [], arguments: [String] = [],
        outputs: Int = 1, server: FakeServer = FakeServer(), watch: RunWatch = RunWatch(clock: .system)
    ) throws -> [Tensor] {
        let call = ScriptCall(
            function: function, keys: keys.map { Array($0.utf8) }, arguments: arguments.map { Array($0.utf8) },
            server: server)
        return try loaded.run(
            call, inputs: inputs, isEntryPoint: entryPoints.contains(function), outputCount: outputs,
            host: ScriptHost(server: server, watch: watch), watch: watch
        ).compactMap { $0 }
    }

    /// The text with which a call fails; nil when it does not.
    func failure(
        _ function: String = "f", _ inputs: [Tensor] = [], keys: [String] = [], arguments: [String] = [],
        outputs: Int = 1, server: FakeServer = FakeServer()
    ) -> String? {
        do {
            _ = try call(function, inputs, keys: keys, arguments: arguments, outputs: outputs, server: server)
            return nil
        } catch {
            return (error as? InferenceError)?.message ?? "\(error)"
        }
    }
}

extension LoadedModel {
    /// Runs the model with nobody to interrupt it.
    func run(_ inputs: [Tensor]) throws -> [Tensor?] {
        try run(inputs, watch: RunWatch(clock: .system))
    }
}

func floats(_ elements: Float..., shape: Shape? = nil) throws -> Tensor {
    try makeTensor(.float, elements, shape)
}

extension Tensor {
    var floats: [Float] { elements(as: Float.self) }
}
