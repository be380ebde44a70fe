import Tensors

/// The models of the tests, each as small as what it shows allows.
enum Models {
    /// `product = a * b`
    static func product(dimensions: [Int?]) -> [UInt8] {
        TFLite.model(productGraph(dimensions: dimensions))
    }

    static func productGraph(dimensions: [Int?] = [2]) -> TFLite.Graph {
        let tensors = ["a", "b", "product"].map { TFLite.Tensor($0, .float32, dimensions) }
        return TFLite.Graph(tensors, inputs: [0, 1], outputs: [2], [TFLite.Node(.mul, [0, 1], [2])])
    }

    /// `y = x` for a matrix [3, 2], as [2, 3].
    static func reshape(_ type: TFLite.ElementType, _ output: TFLite.ElementType? = nil) -> [UInt8] {
        TFLite.model(
            TFLite.Graph(
                [
                    TFLite.Tensor("x", type, [3, 2]), .constant("shape", .int32, [2, 3] as [Int32]),
                    TFLite.Tensor("y", output ?? type, [2, 3]),
                ],
                inputs: [0], outputs: [2], [TFLite.Node(.reshape, [0, 1], [2])]))
    }

    static func cast(_ type: TFLite.ElementType, to output: TFLite.ElementType) -> [UInt8] {
        unary(.cast, TFLite.Tensor("x", type), TFLite.Tensor("y", output))
    }

    static func unary(
        _ operation: TFLite.Operation, _ input: TFLite.Tensor, _ output: TFLite.Tensor
    ) -> [UInt8] {
        TFLite.model(TFLite.Graph([input, output], inputs: [0], outputs: [1], [TFLite.Node(operation, [0], [1])]))
    }

    /// The places of what is true: their number is known only when they have been found.
    static func places(signature: Bool = false) -> [UInt8] {
        TFLite.model(
            TFLite.Graph(
                [TFLite.Tensor("x", .bool, [nil]), TFLite.Tensor("y", .int64, [nil, 1])], inputs: [0], outputs: [1],
                [TFLite.Node(.where, [0], [1])]),
            signatures: signature ? [TFLite.Signature(inputs: [("mask", 0)], outputs: [("places", 1)])] : [])
    }

    /// Ones in the shape that is the input.
    static var fill: [UInt8] {
        TFLite.model(
            TFLite.Graph(
                [
                    TFLite.Tensor("shape", .int32, [1]), .constant("one", .float32, [1] as [Float], []),
                    TFLite.Tensor("y", .float32, [nil]),
                ],
                inputs: [0], outputs: [2], [TFLite.Node(.fill, [0, 1], [2])]))
    }

    /// Strings that are the same as `a` and `b`.
    static var compare: [UInt8] {
        // Number, offsets, bytes.
        let strings: [Int32] = [2, 16, 17, 18]
        return TFLite.model(
            TFLite.Graph(
                [
                    TFLite.Tensor("x", .string, [2]),
                    TFLite.Tensor(
                        "ab", .string, [2], content: strings.withUnsafeBytes { Array($0) } + Array("ab".utf8)),
                    TFLite.Tensor("y", .bool, [2]),
                ],
                inputs: [0], outputs: [2], [TFLite.Node(.equal, [0, 1], [2])]))
    }

    /// `x`, twice, and the double of it: no operator calculates the first two.
    static var passing: [UInt8] {
        TFLite.model(
            TFLite.Graph(
                [TFLite.Tensor("x"), TFLite.Tensor("double")], inputs: [0], outputs: [0, 1, 1],
                [TFLite.Node(.add, [0, 0], [1])]))
    }

    /// A constant, what is calculated from it, and the shape of the input.
    static var constants: [UInt8] {
        TFLite.model(
            TFLite.Graph(
                [
                    TFLite.Tensor("x", .float32, [nil]), .constant("c", .float32, [3, 4] as [Float]),
                    TFLite.Tensor("whole", .int32, [2]), TFLite.Tensor("shape", .int32, [1]),
                ],
                inputs: [0], outputs: [1, 2, 3],
                [
                    TFLite.Node(.cast, [1], [2]),
                    TFLite.Node(
                        .shape, [0], [3],
                        options: (type: 55, table: .table([0: .byte(TFLite.ElementType.int32.rawValue)]))),
                ]))
    }

    /// Counts from 0 to the input, which may take for ever.
    static var loop: [UInt8] {
        let counters = [TFLite.Tensor("count", .int32, []), TFLite.Tensor("end", .int32, [])]
        let main = TFLite.Graph(
            [
                TFLite.Tensor("n", .int32, []), .constant("zero", .int32, [0] as [Int32], []),
                TFLite.Tensor("counted", .int32, []), TFLite.Tensor("n2", .int32, []),
            ],
            inputs: [0], outputs: [2],
            [
                TFLite.Node(
                    .while, [1, 0], [2, 3], options: (type: 93, table: .table([0: .number(1), 1: .number(2)])))
            ])
        let condition = TFLite.Graph(
            counters + [TFLite.Tensor("goesOn", .bool, [])], inputs: [0, 1], outputs: [2],
            [TFLite.Node(.less, [0, 1], [2])])
        let body = TFLite.Graph(
            counters + [.constant("one", .int32, [1] as [Int32], []), TFLite.Tensor("next", .int32, [])],
            inputs: [0, 1], outputs: [3, 1], [TFLite.Node(.add, [0, 2], [3])])
        return TFLite.model([main, condition, body])
    }
}
