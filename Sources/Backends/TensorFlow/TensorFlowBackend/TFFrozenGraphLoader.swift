internal import CTensorFlow
internal import Inference

/// Loads frozen graphs: a serialised `GraphDef` whose weights are constants.
struct TFFrozenGraphLoader {
    private let library: TensorFlowLibrary
    private let settings: EngineSettings
    private let config: TFSessionConfig

    init(_ library: TensorFlowLibrary, _ settings: EngineSettings, _ config: TFSessionConfig) {
        self.library = library
        self.settings = settings
        self.config = config
    }

    func load(
        _ definition: ModelDefinition, _ bytes: UnsafeRawBufferPointer
    ) throws(InferenceError) -> any LoadedModel {
        let (constantBytes, costFollowsFromShapes) = try TFGraphReader.check(
            frozen: bytes, allowsUnsafeOperations: settings.allowsUnsafeOperations)
        let graph = try importGraph(bytes, device: TFDevices.name(definition.device))
        let endpoints = TFEndpoints(
            inputs: try definition.inputNames.map { name throws(InferenceError) in try input(graph, name) },
            outputs: try definition.outputNames.map { name throws(InferenceError) in try output(graph, name) })
        let config = config
        let isSimple = costFollowsFromShapes && definition.device.kind == .cpu
        let quickConfig = isSimple ? config.withoutControlFlow() : config
        let makeExplainer: @Sendable () throws(InferenceError) -> TFSession = { () throws(InferenceError) in
            try config.makeSession(graph, endpoints)
        }
        return try TFModel(
            inputNames: definition.inputNames, outputNames: definition.outputNames,
            // The library keeps the definitions of nodes with its graph, with the session's, and with both graphs that it makes
            // of that to run it; and there are the tensors that constants become.
            memoryUsage: 4 * bytes.count + constantBytes,
            makeSession: { () throws(InferenceError) in try quickConfig.makeSession(graph, endpoints) },
            makeExplainer: isSimple ? makeExplainer : nil)
    }

    private func importGraph(_ bytes: UnsafeRawBufferPointer, device: String?) throws(InferenceError) -> TFGraph {
        let functions = library.functions
        let graph = try TFGraph(library)
        guard let options = Tf_NewImportGraphDefOptions(functions) else { throw .generic }
        defer { Tf_DeleteImportGraphDefOptions(functions, options) }
        if let device { Tf_ImportGraphDefOptionsSetDefaultDevice(functions, options, device) }
        var buffer = TF_Buffer(data: bytes.baseAddress, length: bytes.count, deallocate: nil)
        try library.checked { Tf_GraphImportGraphDef(functions, graph.handle, &buffer, options, $0) }
        return graph
    }

    private func input(_ graph: TFGraph, _ name: String) throws(InferenceError) -> TF_Output {
        guard let operation = graph.operation(name),
            Tf_OperationOpType(library.functions, operation).map({ String(cString: $0) }) == "Placeholder"
        else { throw InferenceError("ERR Input node named \"\(name)\" not found in TF graph.") }
        return TF_Output(operation: operation, index: 0)
    }

    private func output(_ graph: TFGraph, _ name: String) throws(InferenceError) -> TF_Output {
        guard let operation = graph.operation(name) else {
            throw InferenceError("ERR Output node named \"\(name)\" not found in TF graph")
        }
        return TF_Output(operation: operation, index: 0)
    }
}
