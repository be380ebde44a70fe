internal import BackendSupport
internal import Inference

/// Whether the shapes of a model's inputs determine what a run costs, whatever the values are.
///
/// Such a model may run where nobody could interrupt it. Only operators are let through whose work follows from the shapes of
/// what they get, and which make shapes that do; there are no loops, no branches, and no outputs as large as a value says.
enum ONNXRunCost {
    static func followsFromShapes(_ model: UnsafeRawBufferPointer) -> Bool {
        var fields = WireReader(model)
        var graphs = 0
        while true {
            guard let field = try? fields.next(orThrow: .unreadable) else { break }
            // A function could be named like an operator.
            if field.number == 25 { return false }
            guard field.number == 7 else { continue }
            graphs += 1
            guard graphs == 1, let graph = field.content, isBounded(graph) else { return false }
        }
        return graphs == 1
    }

    private static func isBounded(_ graph: UnsafeRawBufferPointer) -> Bool {
        let constants = names(of: 5, nameField: 8, in: graph).subtracting(names(of: 11, nameField: 1, in: graph))
        return contents(of: 1, in: graph).allSatisfy { isBounded(node: $0, constants) }
    }

    private static func isBounded(node: UnsafeRawBufferPointer, _ constants: Set<String>) -> Bool {
        guard let name = text(4, in: node) else { return false }
        switch text(7, in: node) ?? "" {
        case "", "ai.onnx":
            if shapedByInputs.contains(name) {
                // Before some versions these were attributes, and there are no further inputs.
                return contents(of: 1, in: node).dropFirst().allSatisfy {
                    $0.isEmpty || constants.contains(String(decoding: $0, as: UTF8.self))
                }
            }
            return operators.contains(name)
        case "ai.onnx.ml": return machineLearningOperators.contains(name)
        default: return false
        }
    }

    /// What follows the first input says what shape the output has: that must not be for clients to say.
    private static let shapedByInputs: Set<String> = ["Reshape", "Slice", "Squeeze", "Unsqueeze"]

    private static let operators: Set<String> = [
        "Abs", "Add", "And", "ArgMax", "ArgMin", "AveragePool", "BatchNormalization", "Cast", "Ceil", "Clip", "Concat",
        "Constant", "Conv", "Div", "Dropout", "Elu", "Equal", "Erf", "Exp", "Flatten", "Floor", "Gather", "Gelu",
        "Gemm",
        "GlobalAveragePool", "GlobalMaxPool", "Greater", "GreaterOrEqual", "HardSigmoid", "HardSwish", "Identity",
        "InstanceNormalization", "LayerNormalization", "LeakyRelu", "Less", "LessOrEqual", "Log", "LogSoftmax",
        "MatMul",
        "Max", "MaxPool", "Mean", "Min", "Mul", "Neg", "Not", "Or", "PRelu", "Reciprocal", "Relu", "Round", "Selu",
        "Sigmoid", "Sign", "Softmax", "Softplus", "Softsign", "Sqrt", "Sub", "Sum", "Tanh", "ThresholdedRelu",
        "Transpose",
        "Where",
    ]

    private static let machineLearningOperators: Set<String> = [
        "ArrayFeatureExtractor", "Binarizer", "FeatureVectorizer", "Imputer", "LinearClassifier", "LinearRegressor",
        "Normalizer", "Scaler", "SVMClassifier", "SVMRegressor", "TreeEnsembleClassifier", "TreeEnsembleRegressor",
    ]

    // MARK: Fields

    private static func contents(of number: Int, in message: UnsafeRawBufferPointer) -> [UnsafeRawBufferPointer] {
        var contents: [UnsafeRawBufferPointer] = []
        var fields = WireReader(message)
        while let field = try? fields.next(orThrow: .unreadable) {
            if field.number == number, let content = field.content { contents.append(content) }
        }
        return contents
    }

    /// The last one counts, as for the engine's parser.
    private static func text(_ number: Int, in message: UnsafeRawBufferPointer) -> String? {
        contents(of: number, in: message).last.map { String(decoding: $0, as: UTF8.self) }
    }

    private static func names(of number: Int, nameField: Int, in message: UnsafeRawBufferPointer) -> Set<String> {
        Set(contents(of: number, in: message).compactMap { text(nameField, in: $0) })
    }
}

extension InferenceError {
    fileprivate static let unreadable = InferenceError("unreadable")
}
