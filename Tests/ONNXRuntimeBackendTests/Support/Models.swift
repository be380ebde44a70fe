import Inference
import Tensors
import TestSupport

/// The models of the tests, each as small as what it shows allows.
enum Models {
    /// `product = a * b`
    static func product(dimensions: [Int?]) -> [UInt8] {
        ONNX.model(
            ONNX.graph(
                [ONNX.node("Mul", ["a", "b"], ["product"])],
                inputs: [ONNX.value("a", .float, dimensions), ONNX.value("b", .float, dimensions)],
                outputs: [ONNX.value("product", .float, dimensions)]))
    }

    /// `y = x`, a matrix of any size unless there are dimensions.
    static func identity(_ dataType: DataType, dimensions: [Int?] = [nil, nil]) -> [UInt8] {
        unary(
            ONNX.node("Identity", ["x"], ["y"]), ONNX.value("x", dataType.onnx, dimensions),
            ONNX.value("y", dataType.onnx, dimensions))
    }

    /// The sum of a vector: a scalar.
    static var sum: [UInt8] {
        unary(
            ONNX.node("ReduceSum", ["x"], ["y"], [ONNX.attribute("keepdims", integer: 0)]),
            ONNX.value("x", .float, [nil]), ONNX.value("y", .float, []))
    }

    /// Zeros in the shape that is the input.
    static var fill: [UInt8] {
        unary(ONNX.node("ConstantOfShape", ["x"], ["y"]), ONNX.value("x", .int64, [1]), ONNX.value("y", .float, [nil]))
    }

    static func cast(to type: ONNX.ElementType) -> [UInt8] {
        unary(
            ONNX.node("Cast", ["x"], ["y"], [ONNX.attribute("to", integer: type.rawValue)]),
            ONNX.value("x", .float, [nil]), ONNX.value("y", type, [nil]))
    }

    /// `y = x * w`
    static func weighted(_ weights: Protobuf) -> [UInt8] {
        ONNX.model(
            ONNX.graph(
                [ONNX.node("Mul", ["x", "w"], ["y"])], inputs: [ONNX.value("x", .float, [nil])],
                outputs: [ONNX.value("y", .float, [nil])], initializers: [weights]))
    }

    /// Constant strings, without input.
    static func strings(_ strings: [[UInt8]]) -> [UInt8] {
        let constant = ONNX.attribute("value", tensor: ONNX.tensor("c", strings: strings))
        return ONNX.model(
            ONNX.graph(
                [ONNX.node("Constant", [], ["y"], [constant])], outputs: [ONNX.value("y", .string, [strings.count])]))
    }

    /// Counts from `start` as many steps as `trips` says.
    static var loop: [UInt8] {
        let body = ONNX.graph(
            [ONNX.node("Identity", ["goesOn"], ["stillGoesOn"]), ONNX.node("Add", ["value", "one"], ["next"])],
            inputs: [ONNX.value("step", .int64, []), ONNX.value("goesOn", .bool, []), ONNX.value("value", .float, [])],
            outputs: [ONNX.value("stillGoesOn", .bool, []), ONNX.value("next", .float, [])],
            initializers: [ONNX.tensor("one", .float, [], [Float(1)])])
        return ONNX.model(
            ONNX.graph(
                [ONNX.node("Loop", ["trips", "", "start"], ["end"], [ONNX.attribute("body", graph: body)])],
                inputs: [ONNX.value("trips", .int64, []), ONNX.value("start", .float, [])],
                outputs: [ONNX.value("end", .float, [])]))
    }

    /// A sequence of one tensor.
    static var sequence: [UInt8] {
        unary(ONNX.node("SequenceConstruct", ["x"], ["y"]), ONNX.value("x", .float, [nil]), ONNX.untyped("y"))
    }

    /// What classifiers of scikit-learn end with: per row a map from class to probability.
    static var probabilities: [UInt8] {
        unary(
            ONNX.node(
                "ZipMap", ["x"], ["y"], domain: "ai.onnx.ml",
                [ONNX.attribute("classlabels_int64s", integers: [0, 1])]),
            ONNX.value("x", .float, [nil, 2]), ONNX.untyped("y"))
    }

    private static func unary(_ node: Protobuf, _ input: Protobuf, _ output: Protobuf) -> [UInt8] {
        ONNX.model(ONNX.graph([node], inputs: [input], outputs: [output]))
    }
}

extension DataType {
    fileprivate var onnx: ONNX.ElementType {
        switch self {
        case .float: .float
        case .double: .double
        case .int8: .int8
        case .int16: .int16
        case .int32: .int32
        case .int64: .int64
        case .uint8: .uint8
        case .uint16: .uint16
        case .bool: .bool
        case .string: .string
        }
    }
}
