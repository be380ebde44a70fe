import Glibc
import Inference
import TestSupport

@testable import TensorFlowBackend

/// The real library, opened once.
enum Engine {
    struct Missing: Error, CustomStringConvertible {
        let description: String

        init(_ variable: String, _ what: String) {
            description =
                "The environment variable \(variable) does not name \(what). "
                + "`make test-unit` sets it; by hand: eval \"$(python3 scripts/bootstrap env)\"."
        }
    }

    private static let opened = Result { try TensorFlowBackend(path: libraryPath(), settings: settings()) }
    private static let openedUnsafe = Result {
        try TensorFlowBackend(path: libraryPath(), settings: settings(allowsUnsafeOperations: true))
    }

    static func libraryPath() throws -> String {
        guard let path = getenv("REDISAI_TENSORFLOW") else { throw Missing("REDISAI_TENSORFLOW", "the library") }
        return String(cString: path)
    }

    private static func settings(allowsUnsafeOperations: Bool = false) -> EngineSettings {
        var settings = EngineSettings()
        settings.intraOpParallelism = 1
        settings.interOpParallelism = 1
        settings.allowsUnsafeOperations = allowsUnsafeOperations
        return settings
    }

    static func backend() throws -> TensorFlowBackend {
        try opened.get()
    }

    static func load(
        _ model: [UInt8], _ inputs: [String] = [], _ outputs: [String] = [], device: String = "CPU",
        allowsUnsafeOperations: Bool = false
    ) throws -> any LoadedModel {
        guard let device = Device(device) else { throw InferenceError("no device: \(device)") }
        let backend = try allowsUnsafeOperations ? openedUnsafe.get() : opened.get()
        return try backend.load(
            ModelDefinition(
                key: Array("m".utf8), backend: TensorFlowBackend.description, device: device, tag: [],
                batching: ModelDefinition.Batching(), inputNames: inputs, outputNames: outputs,
                blob: ModelBlob([Bytes(model)])))
    }

    /// The text with which a model is refused.
    static func refusal(_ model: [UInt8], _ inputs: [String] = [], _ outputs: [String] = []) -> String? {
        do {
            _ = try load(model, inputs, outputs)
            return nil
        } catch let error as InferenceError {
            return error.message
        } catch {
            return "\(error)"
        }
    }
}
