internal import BackendSupport
internal import CLiteRT
internal import Inference
internal import Synchronization
internal import Tensors

/// A model loaded by LiteRT: its file, and compiled instances of it that take turns.
final class LiteRTModel: LoadedModel, @unchecked Sendable {
    let inputNames: [String]
    let outputNames: [String]
    let memoryUsage: Int

    private let library: LiteRTLibrary
    private let bytes: LiteRTModelBytes
    private let graph: LiteRTGraph
    private let handle: OpaquePointer
    /// Instances that are not in use: at most as many as there have been runs at the same time.
    private let idle = Mutex<[LiteRTInstance]>([])
    /// Held while an instance is made: the engine does not say that it reads a model in several threads at once.
    private let making = Mutex(())

    init(library: LiteRTLibrary, bytes: LiteRTModelBytes, graph: LiteRTGraph) throws(InferenceError) {
        self.library = library
        self.bytes = bytes
        self.graph = graph
        inputNames = graph.inputs.map(\.name)
        outputNames = graph.outputs.map(\.name)
        // The engine packs constants anew for its kernels.
        memoryUsage = bytes.copiedBytes &+ graph.constantBytes &+ graph.computedBytes
        handle = try bytes.withBytes { bytes throws(InferenceError) in
            var handle: OpaquePointer?
            guard
                library.functions.CreateModelFromBuffer(library.environment, bytes.baseAddress, bytes.count, &handle)
                    == LITERT_OK, let handle
            else { throw .cannotLoad }
            return handle
        }
        // A throw from here on runs `deinit`: everything has been initialised.
        let first = try makeInstance()
        idle.withLock { $0.append(first) }
    }

    deinit {
        idle.withLock { $0 = [] }
        library.functions.DestroyModel(handle)
    }

    private func makeInstance() throws(InferenceError) -> LiteRTInstance {
        try making.withLock { _ throws(InferenceError) in
            try bytes.withBytes { bytes throws(InferenceError) in
                try LiteRTInstance(library: library, model: handle, graph: graph, bytes: bytes.count)
            }
        }
    }

    /// False also while there is no instance to use: making one takes longer than most runs.
    var costFollowsFromShapes: Bool {
        graph.costFollowsFromShapes && idle.withLock { !$0.isEmpty }
    }

    func run(_ inputs: [Tensor], watch: RunWatch) throws(InferenceError) -> [Tensor?] {
        try checkTypes(inputs)
        let instance = try takeInstance()
        // An instance that has failed is not used again: what state the engine is in then is not said anywhere.
        let outputs = try instance.run(inputs, watch: watch)
        instance.reset()
        idle.withLock { $0.append(instance) }
        return outputs
    }

    private func takeInstance() throws(InferenceError) -> LiteRTInstance {
        if let instance = idle.withLock({ $0.popLast() }) { return instance }
        return try makeInstance()
    }

    /// Refuses what the engine would take for something else.
    private func checkTypes(_ inputs: [Tensor]) throws(InferenceError) {
        guard inputs.count == graph.inputs.count else { throw .inconsistentInputs }
        for (input, port) in zip(inputs, graph.inputs) {
            guard port.elementType != .half else { throw .halfInput }
            guard let dataType = port.elementType.dataType else { throw .unsupportedInputType }
            guard input.dataType == dataType else { throw .wrongInputType }
        }
        for port in graph.outputs where port.elementType.dataType == nil {
            throw port.elementType == .half ? .halfOutput : .unsupportedOutputType
        }
    }

    func warmUp(watch: RunWatch) {
        var inputs: [Tensor] = []
        for port in graph.inputs {
            guard let dataType = port.elementType.dataType,
                let input = WarmUpInputs.zeros(dataType, declared: port.declared)
            else { return }
            inputs.append(input)
        }
        _ = try? run(inputs, watch: watch)
    }
}
