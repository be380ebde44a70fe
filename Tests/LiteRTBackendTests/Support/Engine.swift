import Glibc
import Inference
import TestSupport

@testable import LiteRTBackend

/// The real library, opened once.
enum Engine {
    struct Missing: Error, CustomStringConvertible {
        let variable: String
        let content: String
        var description: String {
            "The environment variable \(variable) does not name \(content). "
                + "`make test-unit` sets it; by hand: eval \"$(python3 scripts/bootstrap env)\"."
        }
    }

    private static let opened = Result {
        try LiteRTBackend(
            path: variable("REDISAI_LITERT", "the LiteRT library"), settings: EngineSettings())
    }

    private static func variable(_ name: String, _ content: String) throws -> String {
        guard let value = getenv(name) else { throw Missing(variable: name, content: content) }
        return String(cString: value)
    }

    static func backend() throws -> LiteRTBackend {
        try opened.get()
    }

    static func load(_ model: [UInt8], device: String = "CPU") throws -> any LoadedModel {
        try backend().load(definition([Bytes(model)], device: device))
    }

    static func definition(_ chunks: [any ByteSource], device: String = "CPU") throws -> ModelDefinition {
        guard let device = Device(device) else { throw InferenceError("no device: \(device)") }
        return ModelDefinition(
            key: Array("m".utf8), backend: LiteRTBackend.description, device: device, tag: [],
            batching: ModelDefinition.Batching(), inputNames: [], outputNames: [], blob: ModelBlob(chunks))
    }

    /// A real network: 2 s of audio to notes.
    static func audioModel() throws -> [UInt8] {
        let folder = try variable("REDISAI_BASIC_PITCH", "the folder with nmp.tflite")
        guard let file = fopen("\(folder)/nmp.tflite", "rb") else {
            throw Missing(variable: "REDISAI_BASIC_PITCH", content: "the folder with nmp.tflite")
        }
        defer { fclose(file) }
        var content: [UInt8] = []
        var block = [UInt8](repeating: 0, count: 65_536)
        while case let count = fread(&block, 1, block.count, file), count > 0 { content += block[..<count] }
        return content
    }

    /// How many threads the process has.
    static func threadCount() -> Int {
        guard let folder = opendir("/proc/self/task") else { return -1 }
        defer { closedir(folder) }
        var count = 0
        while readdir(folder) != nil { count += 1 }
        return count - 2
    }
}
