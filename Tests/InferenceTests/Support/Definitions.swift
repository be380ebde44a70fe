import Inference
import Tensors
import TestSupport
import Testing

extension BackendDescription {
    /// An engine that no test opens.
    static let unopened = BackendDescription(name: "FAKE", id: 9, defaultPath: "fake.so", names: .fromModel, open: nil)
}

extension ModelDefinition {
    static func fake(
        key: String = "m", device: String = "CPU", backend: BackendDescription = .unopened,
        inputNames: [String] = [], outputNames: [String] = [], tag: String = "", batching: Batching = .init()
    ) throws -> ModelDefinition {
        ModelDefinition(
            key: Array(key.utf8), backend: backend, device: try #require(Device(device)), tag: Array(tag.utf8),
            batching: batching, inputNames: inputNames, outputNames: outputNames, blob: ModelBlob([Bytes([1, 2, 3])]))
    }
}

extension ModelDefinition.Batching {
    init(size: Int, minimum: Int = 0, timeout: Int = 0) {
        self.init()
        (self.size, minimumSize, minimumTimeout) = (size, minimum, timeout)
    }
}

extension ScriptDefinition {
    static func fake(
        key: String = "s", backend: BackendDescription = .unopened, tag: String = "", entryPoints: [String] = [],
        source: String = "def f(x): return x"
    ) throws -> ScriptDefinition {
        ScriptDefinition(
            key: Array(key.utf8), backend: backend, device: try #require(Device("CPU")), tag: Array(tag.utf8),
            entryPoints: entryPoints, source: source.utf8)
    }
}

extension RequestPlan {
    /// A plan that runs `work` once.
    init(_ work: Work, inputs: [Tensor], outputCount: Int) {
        self.init(capacity: inputs.count + outputCount)
        let slots = inputs.map { add($0) }
        _ = add(work, inputs: slots, outputCount: outputCount)
    }
}
