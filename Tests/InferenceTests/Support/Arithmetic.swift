import Inference
import Tensors
import TestSupport

/// Models that calculate with vectors of small integers. A model's key begins with its name.
enum Arithmetic: String, CaseIterable {
    /// a + b
    case add
    /// x + 1 and 2x
    case split
    /// x, unless there is a zero: then it fails
    case check
    /// Nothing that is a tensor.
    case none

    static let zero = InferenceError("there is a zero")
    private static let modulus = 23

    var inputCount: Int { self == .add ? 2 : 1 }
    var outputCount: Int { self == .split ? 2 : 1 }

    /// What the model makes of `inputs`, row by row.
    func callAsFunction(_ inputs: [[Int]]) throws(InferenceError) -> [[Int]?] {
        switch self {
        case .add: return [zip(inputs[0], inputs[1]).map { ($0 + $1) % Self.modulus }]
        case .split:
            return [inputs[0].map { ($0 + 1) % Self.modulus }, inputs[0].map { 2 * $0 % Self.modulus }]
        case .check:
            guard !inputs[0].contains(0) else { throw Self.zero }
            return inputs
        case .none: return [nil]
        }
    }

    var model: FakeModel {
        FakeModel(
            inputNames: (0..<inputCount).map { "x\($0)" }, outputNames: (0..<outputCount).map { "y\($0)" },
            onRun: { inputs, _ throws(InferenceError) in
                try self(inputs.map { $0.elements(as: Int.self) }).map { values in
                    values.flatMap { try? makeTensor(.int64, $0) }
                }
            })
    }

    /// The model that a key means.
    static func load(_ definition: ModelDefinition) throws(InferenceError) -> any LoadedModel {
        let key = String(decoding: definition.key, as: UTF8.self)
        guard let kind = allCases.first(where: { key.hasPrefix($0.rawValue) }) else { throw InferenceError(key) }
        return kind.model
    }
}
