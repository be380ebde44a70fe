import Glibc
import Inference
import TestSupport
import Testing

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
        let folder = try variable("REDISAI_BASIC_PITCH", "the folder of the package basic-pitch")
        guard let file = fopen("\(folder)/basic_pitch/saved_models/icassp_2022/nmp.tflite", "rb") else {
            throw Missing(variable: "REDISAI_BASIC_PITCH", content: "the folder of the package basic-pitch")
        }
        defer { fclose(file) }
        var content: [UInt8] = []
        var block = [UInt8](repeating: 0, count: 65_536)
        while case let count = fread(&block, 1, block.count, file), count > 0 { content += block[..<count] }
        return content
    }

    /// Gives the calling thread a name of at most 15 characters.
    static func nameThread(_ name: String) throws {
        let file = try #require(fopen("/proc/thread-self/comm", "w"))
        fputs(name, file)
        fclose(file)
    }

    /// How many threads of the process have a name. A thread inherits the name of the one that starts it.
    static func threadCount(named name: String) -> Int {
        guard let folder = opendir("/proc/self/task") else { return -1 }
        defer { closedir(folder) }
        var count = 0
        while let entry = readdir(folder) {
            let thread = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            guard let file = fopen("/proc/self/task/\(thread)/comm", "r") else { continue }
            defer { fclose(file) }
            var line = [UInt8](repeating: 0, count: 64)
            let length = fread(&line, 1, line.count, file)
            if String(decoding: line[..<length], as: UTF8.self) == "\(name)\n" { count += 1 }
        }
        return count
    }
}
