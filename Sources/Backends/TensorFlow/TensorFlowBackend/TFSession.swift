internal import CTensorFlow
internal import Inference
internal import Synchronization
internal import Tensors

/// A graph that the library holds.
final class TFGraph: @unchecked Sendable {
    let library: TensorFlowLibrary
    let handle: OpaquePointer

    init(_ library: TensorFlowLibrary) throws(InferenceError) {
        guard let handle = Tf_NewGraph(library.functions) else { throw .generic }
        self.library = library
        self.handle = handle
    }

    deinit {
        Tf_DeleteGraph(library.functions, handle)
    }

    /// The operation of a node; nil when there is none of that name.
    func operation(_ name: String) -> OpaquePointer? {
        // Names of nodes have no NUL, and the library would not see what follows one.
        guard !name.utf8.contains(0) else { return nil }
        return Tf_GraphOperationByName(library.functions, handle, name)
    }
}

/// What is fed to a graph and fetched from it, in the order of the model's inputs and outputs.
struct TFEndpoints: @unchecked Sendable {
    var inputs: [TF_Output] = []
    var outputs: [TF_Output] = []
}

/// A graph ready to run.
final class TFSession: @unchecked Sendable {
    private let graph: TFGraph
    private let handle: OpaquePointer
    private let endpoints: TFEndpoints
    private let closing = Atomic(false)

    /// Takes over `handle`, a session of `graph`.
    init(_ graph: TFGraph, handle: OpaquePointer, _ endpoints: TFEndpoints) {
        self.graph = graph
        self.handle = handle
        self.endpoints = endpoints
    }

    deinit {
        close()
        let functions = graph.library.functions
        graph.library.unchecked { Tf_DeleteSession(functions, handle, $0) }
    }

    /// Whether the session has been told to stop: no run of it succeeds any more.
    var isClosed: Bool { closing.load(ordering: .acquiring) }

    /// Stops the runs that go on, at their next loop condition or when they have ended. Any thread; returns at once.
    func close() {
        guard !closing.exchange(true, ordering: .acquiringAndReleasing) else { return }
        let functions = graph.library.functions
        graph.library.unchecked { Tf_CloseSession(functions, handle, $0) }
    }

    /// Runs the graph in the calling thread. `tensors` are as many as there are inputs.
    func run(_ tensors: [Tensor]) throws(InferenceError) -> TFOutputs {
        let library = graph.library
        let functions = library.functions
        let values = try TFInputs(library, tensors)
        let results = TFOutputs(library, count: endpoints.outputs.count)
        try library.checked { status in
            results.withPointers { results in
                values.withPointers { values in
                    Tf_SessionRun(
                        functions, handle, nil, endpoints.inputs, values, Int32(clamping: endpoints.inputs.count),
                        endpoints.outputs, results, Int32(clamping: endpoints.outputs.count), nil, 0, nil, status)
                }
            }
        }
        return results
    }
}

// MARK: What it runs on

extension TFSession {
    /// The devices that the session may use; to be deleted by the caller.
    func devices() throws(InferenceError) -> OpaquePointer {
        let functions = graph.library.functions
        let list = try graph.library.checked { Tf_SessionListDevices(functions, handle, $0) }
        guard let list else { throw .generic }
        return list
    }

    /// Zeros in the shapes that the graph declares, 1 for free dimensions; nil when an input has no such tensor.
    func warmUpInputs() -> [Tensor]? {
        var tensors: [Tensor] = []
        for input in endpoints.inputs {
            guard let tensor = TFWarmUp.zeros(graph, input) else { return nil }
            tensors.append(tensor)
        }
        return tensors
    }
}
