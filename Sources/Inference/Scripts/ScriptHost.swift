public import Tensors

/// The server as a running script reaches it. Called by worker threads.
public protocol ScriptServer: Sendable {
    /// Runs the command made of `words` and writes its answer.
    ///
    /// - Throws: the text of an error reply, or why the command could not be run.
    func execute(_ words: [UnsafeRawBufferPointer], reply: any ScriptReplyWriter) throws(InferenceError)

    /// The model that a key holds.
    func model(at key: UnsafeRawBufferPointer) throws(InferenceError) -> Model
}

/// Takes the answer of a command in order; the elements of an array follow its head.
public protocol ScriptReplyWriter {
    func text(_ bytes: UnsafeRawBufferPointer)
    func integer(_ value: Int64)
    func double(_ value: Double)
    func null()
    func array(_ count: Int)
}

/// What an engine offers the script that it runs: commands and models of the server.
public final class ScriptHost: Sendable {
    private let server: any ScriptServer
    private let watch: RunWatch

    init(server: any ScriptServer, watch: RunWatch) {
        self.server = server
        self.watch = watch
    }

    /// Runs a command. While the server is waited for, the run's time does not count.
    public func execute(_ words: [UnsafeRawBufferPointer], reply: any ScriptReplyWriter) throws(InferenceError) {
        try watch.whileWaiting { () throws(InferenceError) in try server.execute(words, reply: reply) }
    }

    /// Runs a stored model of any engine in the calling thread: no queue, no batch, no statistics.
    public func runModel(
        at key: UnsafeRawBufferPointer, inputs: [Tensor], outputCount: Int
    ) throws(InferenceError) -> [Tensor] {
        let model = try watch.whileWaiting { () throws(InferenceError) in
            let model = try server.model(at: key)
            waitUntilLoaded(model)
            return model
        }
        if let loaded = model.loaded {
            try check(inputs.count, loaded.inputNames.count, "inputs")
            try check(outputCount, loaded.outputNames.count, "outputs")
        }
        var outputs: [Tensor] = []
        for output in try model.run(inputs, outputCount: outputCount, watch: watch) {
            guard let output else { throw InferenceError("ERR an output of the model has no tensor form") }
            outputs.append(output)
        }
        return outputs
    }

    /// Models that come from a data file are built after the start: scripts wait for them, as clients' requests do.
    private func waitUntilLoaded(_ model: Model) {
        guard case .loading = model.phase else { return }
        let loaded = Pending<Bool>()
        model.whenLoaded { loaded.fulfil(true) }
        _ = loaded.wait()
    }

    private func check(_ count: Int, _ expected: Int, _ what: String) throws(InferenceError) {
        guard count == expected else { throw InferenceError("ERR Expected \(expected) \(what) but got \(count)") }
    }
}
