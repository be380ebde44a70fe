import Glibc
import Inference
import TestSupport

@testable import ONNXRuntimeBackend

/// The real library, opened once: it has one environment per process, with one memory limit.
enum Engine {
    struct Missing: Error, CustomStringConvertible {
        let description =
            "The environment variable REDISAI_ONNXRUNTIME does not name the ONNX Runtime library. "
            + "`make test-unit` sets it; by hand: eval \"$(python3 scripts/bootstrap env)\"."
    }

    /// Bytes that models may take together.
    static let memoryLimit = 256 * 1024 * 1024

    private static let opened = Result {
        guard let path = getenv("REDISAI_ONNXRUNTIME") else { throw Missing() }
        var settings = EngineSettings()
        settings.intraOpParallelism = 1
        settings.interOpParallelism = 1
        settings.memoryLimit = memoryLimit
        settings.convertsMaps = { convertsMaps }
        return try ONNXRuntimeBackend(path: String(cString: path), settings: settings)
    }

    static func backend() throws -> ONNXRuntimeBackend {
        try opened.get()
    }

    /// Whether map outputs become tensors in the current test.
    @TaskLocal static var convertsMaps = false

    static func load(_ model: [UInt8], device: String = "CPU") throws -> any LoadedModel {
        try backend().load(definition(model, device: device))
    }

    private static func definition(_ model: [UInt8], device: String) throws -> ModelDefinition {
        guard let device = Device(device) else { throw InferenceError("no device: \(device)") }
        return ModelDefinition(
            key: Array("m".utf8), backend: ONNXRuntimeBackend.description, device: device, tag: [],
            batching: ModelDefinition.Batching(), inputNames: [], outputNames: [], blob: ModelBlob([Bytes(model)]))
    }

    /// What the engine's own counter says is in use.
    static func memoryInUse() throws -> Int {
        let value = try backend().info(workers: 1).first { $0.name == "onnxruntime_memory" }?.value
        return value.flatMap { Int($0) } ?? -1
    }
}
