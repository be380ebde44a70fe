internal import Inference

/// What clients call the inputs and outputs of a SavedModel, and where these are in its graph.
struct TFEndpointNames {
    /// As MODELGET shows it, and the graph's name for it.
    struct Endpoint: Sendable {
        let name: String
        let node: String
        let port: Int32
    }

    let inputs: [Endpoint]
    let outputs: [Endpoint]

    /// The names that the client gave, or those of the serving signature in alphabetical order.
    init(_ model: TFSavedModel, inputNames: [String], outputNames: [String]) throws(InferenceError) {
        let signature = model.servingSignature
        inputs = try Self.endpoints(inputNames, signature?.inputs)
        outputs = try Self.endpoints(outputNames, signature?.outputs)
        guard !outputs.isEmpty else { throw Self.noSignature }
    }

    private static let noSignature = InferenceError(
        "ERR SavedModel: there is no signature serving_default; INPUTS and OUTPUTS must be given")

    private static func endpoints(
        _ names: [String], _ entries: [TFSavedModel.Signature.Entry]?
    ) throws(InferenceError) -> [Endpoint] {
        // Of entries with the same key the last one counts.
        var tensors: [String: WireText?] = [:]
        for entry in entries ?? [] { tensors[entry.key.string] = .some(entry.tensor) }
        guard names.isEmpty else {
            var endpoints: [Endpoint] = []
            for name in names { endpoints.append(try endpoint(name, tensors)) }
            return endpoints
        }
        guard entries != nil else { throw noSignature }
        var endpoints: [Endpoint] = []
        for name in tensors.keys.sorted() { endpoints.append(try endpoint(name, tensors)) }
        return endpoints
    }

    private static func endpoint(_ name: String, _ tensors: [String: WireText?]) throws(InferenceError) -> Endpoint {
        guard let entry = tensors[name] else { return Endpoint(name: name, tensor: name) }
        guard let tensor = entry else {
            throw InferenceError("ERR SavedModel: \(name.prefix(200)) of the signature is not a tensor")
        }
        return Endpoint(name: name, tensor: tensor.string)
    }
}

extension TFEndpointNames.Endpoint {
    /// `tensor` is `node` or `node:port`.
    fileprivate init(name: String, tensor: String) {
        self.name = name
        // Names of nodes have no colon.
        let parts = tensor.utf8.split(separator: UInt8(ascii: ":"), maxSplits: 1, omittingEmptySubsequences: false)
        node = String(parts[0]) ?? tensor
        port = parts.count == 1 ? 0 : Int32(String(parts[1]) ?? "") ?? -1
    }
}
