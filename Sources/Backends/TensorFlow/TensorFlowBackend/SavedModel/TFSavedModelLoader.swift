internal import CTensorFlow
internal import Inference

/// Loads SavedModels: an archive of the folder that `tf.saved_model.save` writes.
struct TFSavedModelLoader: Sendable {
    private let library: TensorFlowLibrary
    private let settings: EngineSettings
    private let config: TFSessionConfig

    init(_ library: TensorFlowLibrary, _ settings: EngineSettings, _ config: TFSessionConfig) {
        self.library = library
        self.settings = settings
        self.config = config
    }

    func load(_ definition: ModelDefinition) throws(InferenceError) -> any LoadedModel {
        // Where operations run is written in the graph, or decided by the library.
        guard (definition.device.index ?? 0) == 0 || definition.device.kind == .cpu else {
            throw InferenceError("ERR SavedModel: only the first GPU can be used")
        }
        let (first, names, bytes) = try open(definition)
        // The session that is there already is the first to be asked for.
        let opened = Once(first)
        return try TFModel(
            inputNames: names.inputs.map(\.name), outputNames: names.outputs.map(\.name), memoryUsage: bytes
        ) { () throws(InferenceError) in
            if let session = opened.take() { return session }
            return try open(definition).session
        }
    }

    /// Unpacks the archive, looks it through, and has the library load it. The unpacked files are gone when this returns:
    /// the library has them in memory.
    private func open(
        _ definition: ModelDefinition
    ) throws(InferenceError) -> (session: TFSession, names: TFEndpointNames, byteCount: Int) {
        let unpacked = try definition.blob.withContiguousBytes { bytes throws(InferenceError) in
            guard let format = ArchiveFormat(bytes) else { throw InferenceError.archiveDamaged }
            return try UnpackedSavedModel(bytes, format)
        }
        let names = try unpacked.withDefinition { bytes throws(InferenceError) in
            let model = try TFSavedModel(bytes)
            let names = try TFEndpointNames(
                model, inputNames: definition.inputNames, outputNames: definition.outputNames)
            if !settings.allowsUnsafeOperations {
                try TFSavedModelInspection(model).check(fetches: names.outputs.map(\.node))
            }
            return names
        }
        let loaded = try withExtendedLifetime(unpacked) { () throws(InferenceError) in
            do throws(InferenceError) {
                return try session(unpacked, names)
            } catch {
                // Where the files were is nothing that a client could use.
                throw InferenceError(error.message.leavingOut("\(unpacked.path)/"))
            }
        }
        return (loaded, names, unpacked.byteCount)
    }

    private func session(
        _ unpacked: UnpackedSavedModel, _ names: TFEndpointNames
    ) throws(InferenceError) -> TFSession {
        let functions = library.functions
        let graph = try TFGraph(library)
        let handle = try config.withOptions(library) { options throws(InferenceError) in
            try "serve".withCString { tag in
                Result { () throws(InferenceError) in
                    var tags: UnsafePointer<CChar>? = tag
                    return try library.checked {
                        Tf_LoadSessionFromSavedModel(
                            functions, options, nil, unpacked.path, &tags, 1, graph.handle, nil, $0)
                    }
                }
            }.get()
        }
        guard let handle else { throw .generic }
        let endpoints = Result { () throws(InferenceError) in
            TFEndpoints(
                inputs: try names.inputs.map { name throws(InferenceError) in try output(graph, name, "input") },
                outputs: try names.outputs.map { name throws(InferenceError) in try output(graph, name, "output") })
        }
        // Made in any case: it owns what the library has returned.
        let session = TFSession(graph, handle: handle, (try? endpoints.get()) ?? TFEndpoints())
        _ = try endpoints.get()
        return session
    }

    private func output(
        _ graph: TFGraph, _ endpoint: TFEndpointNames.Endpoint, _ role: String
    ) throws(InferenceError) -> TF_Output {
        guard let operation = graph.operation(endpoint.node), endpoint.port >= 0,
            endpoint.port < Tf_OperationNumOutputs(library.functions, operation)
        else {
            throw InferenceError(
                "ERR SavedModel: \(role) \(endpoint.name.prefix(200)) is neither in the signature nor in the graph")
        }
        return TF_Output(operation: operation, index: endpoint.port)
    }
}

extension String {
    /// Without a text wherever it stands.
    fileprivate func leavingOut(_ part: String) -> String {
        let part = Array(part.utf8)
        var rest = Array(utf8)[...]
        var kept: [UInt8] = []
        while let byte = rest.first {
            if !part.isEmpty, rest.starts(with: part) {
                rest = rest.dropFirst(part.count)
            } else {
                kept.append(byte)
                rest = rest.dropFirst()
            }
        }
        return String(decoding: kept, as: UTF8.self)
    }
}
