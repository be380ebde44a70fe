import Tensors
import TestSupport

/// The frozen graphs of the tests, each as small as what it shows allows.
enum Graphs {
    /// `mul = a * b`
    static func product(dimensions: [Int]? = nil) -> [UInt8] {
        TF.graph([
            TF.placeholder("a", .float, dimensions), TF.placeholder("b", .float, dimensions),
            TF.node("mul", "Mul", ["a", "b"], [TF.attribute("T", .float)]),
        ]).bytes
    }

    /// `y` from `x` by one operation.
    static func unary(
        _ operation: String, _ dataType: DataType, _ dimensions: [Int]? = nil, _ attributes: [Protobuf] = []
    ) -> [UInt8] {
        TF.graph([
            TF.placeholder("x", dataType, dimensions),
            TF.node("y", operation, ["x"], [TF.attribute("T", dataType)] + attributes),
        ]).bytes
    }

    static var castToHalf: [UInt8] {
        TF.graph([
            TF.placeholder("x", .float),
            TF.node("y", "Cast", ["x"], [TF.attribute("SrcT", .float), TF.attribute("DstT", typeNumber: TF.half)]),
        ]).bytes
    }

    /// The sum of a vector: a scalar.
    static var sum: [UInt8] {
        TF.graph([
            TF.placeholder("x", .float, [-1]), TF.constant("axis", .int32, [1], [Int32(0)]),
            TF.node("y", "Sum", ["x", "axis"], [TF.attribute("T", .float), TF.attribute("Tidx", .int32)]),
        ]).bytes
    }

    /// `y = x * w`, with weights.
    static func weighted(count: Int) -> [UInt8] {
        TF.graph([
            TF.placeholder("x", .float, [-1]),
            TF.constant("w", .float, [count], [Float](repeating: 2, count: count)),
            TF.node("y", "Mul", ["x", "w"], [TF.attribute("T", .float)]),
        ]).bytes
    }

    /// Constant strings.
    static func text(_ text: String) -> [UInt8] {
        TF.graph([TF.placeholder("x", .float), TF.text("y", text)]).bytes
    }

    /// Counts to `n`.
    static var loop: [UInt8] { TF.graph(loopNodes).bytes }

    static var loopNodes: [Protobuf] {
        let type = TF.attribute("T", .int64)
        func enter(_ name: String, _ input: String, isConstant: Bool) -> Protobuf {
            TF.node(
                name, "Enter", [input],
                [type, TF.attribute("frame_name", text: "loop"), TF.attribute("is_constant", flag: isConstant)])
        }
        return [
            TF.placeholder("n", .int64, []), TF.constant("zero", .int64, [], [Int64(0)]),
            enter("start", "zero", isConstant: false), enter("limit", "n", isConstant: true),
            TF.node("step", "Merge", ["start", "next"], [type, TF.attribute("N", integer: 2)]),
            TF.node("less", "Less", ["step", "limit"], [type]), TF.node("goesOn", "LoopCond", ["less"]),
            TF.node("switch", "Switch", ["step", "goesOn"], [type]), TF.node("body", "Identity", ["switch:1"], [type]),
            TF.constant("one", .int64, [], [Int64(1)], after: ["^body"]),
            TF.node("sum", "AddV2", ["body", "one"], [type]), TF.node("next", "NextIteration", ["sum"], [type]),
            TF.node("end", "Exit", ["switch"], [type]),
        ]
    }
}
