internal import CTensorFlow
internal import Inference

/// How sessions run: a serialised `ConfigProto`.
///
/// TensorFlow makes its pools with the first session of the process, and all sessions of the same settings share them:
/// no model has threads of its own.
struct TFSessionConfig {
    private(set) var bytes: [UInt8] = []
    /// Whether operations of a graph may run side by side.
    private let runsSideBySide: Bool

    init(_ settings: EngineSettings, _ kind: Device.Kind) {
        runsSideBySide = settings.interOpParallelism > 1
        if kind == .cpu {
            // A session takes hold of every GPU it sees, needed or not.
            append(field: 1, message: [0x0A, 3] + Array("GPU".utf8) + [0x10, 0])
        } else {
            // Memory of the GPU as it is needed, not all of it at once.
            append(field: 6, message: [0x20, 1])
        }
        append(field: 2, number: Int64(clamping: settings.intraOpParallelism))
        // Without threads across operators the graph runs in the thread that calls, a worker of ours: handing a small
        // network over costs more than running it.
        append(field: 5, number: runsSideBySide ? Int64(settings.interOpParallelism) : -1)
    }

    /// The same for graphs that have neither branches nor loops: an executor that knows its order beforehand has less to do.
    /// It takes no notice of other threads, and is not used where there are to be some.
    func withoutControlFlow() -> TFSessionConfig {
        guard !runsSideBySide else { return self }
        var config = self
        // experimental.executor_type
        let name = Array("SINGLE_THREADED_EXECUTOR".utf8)
        config.append(field: 16, message: [3 << 3 | 2, UInt8(name.count)] + name)
        return config
    }

    private mutating func append(field: UInt8, number: Int64) {
        append(UInt64(field) << 3)
        append(UInt64(bitPattern: number))
    }

    /// As a varint.
    private mutating func append(_ number: UInt64) {
        var rest = number
        while rest > 0x7F {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }

    private mutating func append(field: UInt8, message: [UInt8]) {
        append(UInt64(field) << 3 | 2)
        append(UInt64(message.count))
        bytes += message
    }

    /// Calls `body` with session options of this configuration.
    func withOptions<Result>(
        _ library: TensorFlowLibrary, _ body: (OpaquePointer) throws(InferenceError) -> Result
    ) throws(InferenceError) -> Result {
        let functions = library.functions
        guard let options = Tf_NewSessionOptions(functions) else { throw .generic }
        defer { Tf_DeleteSessionOptions(functions, options) }
        try library.checked { Tf_SetConfig(functions, options, bytes, bytes.count, $0) }
        return try body(options)
    }

    /// A session of a graph.
    func makeSession(_ graph: TFGraph, _ endpoints: TFEndpoints) throws(InferenceError) -> TFSession {
        let library = graph.library
        let handle = try withOptions(library) { options throws(InferenceError) in
            try library.checked { Tf_NewSession(library.functions, graph.handle, options, $0) }
        }
        guard let handle else { throw .generic }
        return TFSession(graph, handle: handle, endpoints)
    }
}
