import Inference
import Tensors
import TestSupport

/// A compiled script that does what its test says. Unless told otherwise it returns its inputs.
final class FakeScript: LoadedScript {
    /// What a run is given.
    struct Run: Sendable {
        let call: ScriptCall
        let inputs: [Tensor]
        let isEntryPoint: Bool
        let outputCount: Int
        let host: ScriptHost
        let watch: RunWatch
    }

    typealias OnRun = @Sendable (Run) throws(InferenceError) -> [Tensor?]

    private let onRun: OnRun
    private let onRelease: @Sendable () -> Void

    init(onRun: @escaping OnRun = { $0.inputs }, onRelease: @escaping @Sendable () -> Void = {}) {
        self.onRun = onRun
        self.onRelease = onRelease
    }

    deinit {
        onRelease()
    }

    func run(
        _ call: ScriptCall, inputs: [Tensor], isEntryPoint: Bool, outputCount: Int, host: ScriptHost, watch: RunWatch
    ) throws(InferenceError) -> [Tensor?] {
        try onRun(
            Run(
                call: call, inputs: inputs, isEntryPoint: isEntryPoint, outputCount: outputCount, host: host,
                watch: watch))
    }
}

extension ScriptHost {
    /// Runs the command made of `words` and returns the parts of its answer as text.
    func execute(_ words: String...) throws(InferenceError) -> [String] {
        let reply = RecordedReply()
        var bytes: [UnsafeMutableRawBufferPointer] = []
        defer { for word in bytes { word.deallocate() } }
        for word in words {
            let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: word.utf8.count, alignment: 1)
            copy.copyBytes(from: word.utf8)
            bytes.append(copy)
        }
        try execute(bytes.map { UnsafeRawBufferPointer($0) }, reply: reply)
        return reply.parts
    }

    func runModel(_ key: String, _ inputs: [Tensor], outputs: Int) throws(InferenceError) -> [Tensor] {
        let result = Array(key.utf8).withUnsafeBytes { key in
            Result { () throws(InferenceError) in try runModel(at: key, inputs: inputs, outputCount: outputs) }
        }
        return try result.get()
    }
}

/// An engine whose models and scripts its test makes.
final class FakeScriptBackend: ScriptBackend {
    typealias Compile = @Sendable (ScriptDefinition) throws(InferenceError) -> any LoadedScript

    private let models: FakeBackend
    private let onCompile: Compile

    init(_ models: FakeBackend, onCompile: @escaping Compile) {
        self.models = models
        self.onCompile = onCompile
    }

    var version: String { models.version }

    func info(workers: Int) -> [(name: String, value: String)] { [] }

    func load(_ definition: ModelDefinition) throws(InferenceError) -> any LoadedModel {
        try models.load(definition)
    }

    func compile(_ definition: ScriptDefinition) throws(InferenceError) -> any LoadedScript {
        try onCompile(definition)
    }
}

/// Writes an answer down, part by part.
private final class RecordedReply: ScriptReplyWriter {
    private(set) var parts: [String] = []

    func text(_ bytes: UnsafeRawBufferPointer) { parts.append(String(decoding: bytes, as: UTF8.self)) }
    func integer(_ value: Int64) { parts.append("\(value)") }
    func double(_ value: Double) { parts.append("\(value)") }
    func null() { parts.append("null") }
    func array(_ count: Int) { parts.append("array of \(count)") }
}
