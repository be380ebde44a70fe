/// Whether the shapes of a graph's inputs determine what a run costs, whatever the values are, and whether it fails.
///
/// Such a graph may run where nobody could interrupt it, and needs no executor that can branch and loop. Only operations are
/// let through whose work follows from the shapes of what they get; where an input says what shape the result has, it is to be
/// a constant.
enum TFRunCost {
    static func followsFromShapes(_ graph: TFGraphReader) -> Bool {
        guard graph.functions.isEmpty, graph.gradients.isEmpty else { return false }
        let constants = Set(graph.nodes.lazy.filter { $0.operation == "Const" }.map(\.name))
        var places: [WireText: [Int]] = [:]
        return graph.nodes.allSatisfy { node in
            guard !node.mayHoldStrings, node.references.allSatisfy({ !$0.isFunction }) else { return false }
            if places[node.operation] == nil { places[node.operation] = shapeInputs(node.operation.string) }
            guard let positions = places[node.operation] else { return false }
            let inputs = node.inputs.filter { !$0.isControl }
            return positions.allSatisfy { position in
                // From the end where it is negative.
                let index = position < 0 ? inputs.count + position : position
                guard inputs.indices.contains(index) else { return false }
                return inputs[index].isFirstOutput && constants.contains(inputs[index].node)
            }
        }
    }

    /// The positions of inputs that say what shape the result has; nil for an operation that does not qualify.
    private static func shapeInputs(_ operation: String) -> [Int]? {
        if plain.contains(operation) { return [] }
        return shaped[operation]
    }

    private static let plain: Set<String> = [
        "Abs", "Add", "AddN", "AddV2", "AvgPool", "BatchMatMul", "BatchMatMulV2", "BatchMatMulV3", "BiasAdd", "Cast",
        "Ceil",
        "Const", "Conv2D", "Cos", "DepthwiseConv2dNative", "DivNoNan", "Elu", "Equal", "Erf", "Exp", "Expm1", "Floor",
        "FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3", "Greater", "GreaterEqual",
        "Identity", "IdentityN", "LeakyRelu", "Less", "LessEqual", "Log", "Log1p", "LogSoftmax", "LogicalAnd",
        "LogicalNot",
        "LogicalOr", "MatMul", "MaxPool", "Maximum", "Minimum", "Mul", "Neg", "NoOp", "NotEqual", "OnesLike", "Pack",
        "Placeholder", "RealDiv", "Relu", "Relu6", "Rint", "Round", "Rsqrt", "Select", "SelectV2",
        "Selu", "Sigmoid", "Sign", "Sin", "Softmax", "Softplus", "Softsign", "Sqrt", "Square", "SquaredDifference",
        "Squeeze", "StopGradient", "Sub", "Tanh", "Unpack", "ZerosLike",
    ]

    private static let shaped: [String: [Int]] = [
        "All": [1], "Any": [1], "ArgMax": [1], "ArgMin": [1], "ConcatV2": [-1], "ExpandDims": [1],
        "Max": [1], "Mean": [1], "Min": [1], "Pad": [1], "PadV2": [1], "Prod": [1], "Reshape": [1], "Slice": [1, 2],
        "Split": [0], "SplitV": [1, 2], "StridedSlice": [1, 2, 3], "Sum": [1], "Tile": [1], "TopKV2": [1],
        "Transpose": [1],
    ]
}
