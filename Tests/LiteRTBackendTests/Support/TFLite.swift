import Tensors

/// TensorFlow Lite models written by hand, after the field numbers of schema.fbs.
enum TFLite {
    /// The element types that the tests use.
    enum ElementType: UInt8 {
        case float32, float16, int32, uint8, int64, string, bool, int16
        case int8 = 9
        case float64
        case uint32 = 15
        case uint16
    }

    /// The operators that the tests use.
    enum Operation: Int {
        case add = 0
        case mul = 18
        case reshape = 22
        case custom = 32
        case sub = 41
        case cast = 53
        case shape = 77
        case less = 58
        case equal = 71
        case fill = 94
        case `where` = 109
        case `while` = 119
    }

    struct Tensor {
        var name: String
        var type: ElementType
        /// nil for a free dimension.
        var dimensions: [Int?]
        /// The bytes of a constant.
        var content: [UInt8]?

        init(_ name: String, _ type: ElementType = .float32, _ dimensions: [Int?] = [2], content: [UInt8]? = nil) {
            self.name = name
            self.type = type
            self.dimensions = dimensions
            self.content = content
        }

        /// A constant vector, a scalar without dimensions.
        static func constant<Number: BitwiseCopyable>(
            _ name: String, _ type: ElementType, _ elements: [Number], _ dimensions: [Int?]? = nil
        ) -> Tensor {
            Tensor(
                name, type, dimensions ?? [elements.count],
                content: elements.withUnsafeBytes { Array($0) })
        }
    }

    struct Node {
        var operation: Operation
        var inputs: [Int]
        var outputs: [Int]
        /// The code of a custom operator.
        var customCode = ""
        /// The type and the table of options.
        var options: (type: UInt8, table: FlatbufferValue)?

        init(
            _ operation: Operation, _ inputs: [Int], _ outputs: [Int], customCode: String = "",
            options: (type: UInt8, table: FlatbufferValue)? = nil
        ) {
            self.operation = operation
            self.inputs = inputs
            self.outputs = outputs
            self.customCode = customCode
            self.options = options
        }
    }

    struct Graph {
        var tensors: [Tensor]
        var inputs: [Int]
        var outputs: [Int]
        var nodes: [Node]

        init(_ tensors: [Tensor], inputs: [Int], outputs: [Int], _ nodes: [Node] = []) {
            self.tensors = tensors
            self.inputs = inputs
            self.outputs = outputs
            self.nodes = nodes
        }
    }

    struct Signature {
        var key = "serving_default"
        var inputs: [(name: String, tensor: Int)]
        var outputs: [(name: String, tensor: Int)]
        var graph = 0
    }

    /// - Parameter change: changes the fields of the model's table before it is written.
    static func model(
        _ graphs: [Graph], signatures: [Signature] = [], change: (inout [Int: FlatbufferValue]) -> Void = { _ in }
    ) -> [UInt8] {
        var model = Model()
        let subgraphs = graphs.map { model.subgraph($0) }
        var fields: [Int: FlatbufferValue] = [
            0: .number(3), 1: .tables(model.codes), 2: .tables(subgraphs), 4: .tables(model.buffers),
        ]
        if !signatures.isEmpty { fields[7] = .tables(signatures.map(signature)) }
        change(&fields)
        return FlatbufferValue.table(fields).file(identifier: "TFL3")
    }

    static func model(
        _ graph: Graph, signatures: [Signature] = [], change: (inout [Int: FlatbufferValue]) -> Void = { _ in }
    ) -> [UInt8] {
        model([graph], signatures: signatures, change: change)
    }

    private static func signature(_ signature: Signature) -> FlatbufferValue {
        func entries(_ names: [(name: String, tensor: Int)]) -> FlatbufferValue {
            .tables(names.map { .table([0: .text($0.name), 1: .number($0.tensor)]) })
        }
        return .table([
            0: entries(signature.inputs), 1: entries(signature.outputs), 2: .text(signature.key),
            4: .number(signature.graph),
        ])
    }

    private struct Model {
        var codes: [FlatbufferValue] = []
        /// Buffer 0 is the one of tensors without content.
        var buffers: [FlatbufferValue] = [.table([:])]

        mutating func subgraph(_ graph: Graph) -> FlatbufferValue {
            .table([
                0: .tables(graph.tensors.map { tensor($0) }), 1: .numbers(graph.inputs), 2: .numbers(graph.outputs),
                3: .tables(graph.nodes.map { node($0) }), 4: .text("main"),
            ])
        }

        private mutating func tensor(_ tensor: Tensor) -> FlatbufferValue {
            var fields: [Int: FlatbufferValue] = [
                0: .numbers(tensor.dimensions.map { $0 ?? 1 }), 1: .byte(tensor.type.rawValue), 3: .text(tensor.name),
                8: .byte(1),
            ]
            if tensor.dimensions.contains(nil) { fields[7] = .numbers(tensor.dimensions.map { $0 ?? -1 }) }
            if let content = tensor.content {
                fields[2] = .number(buffers.count)
                buffers.append(.table([0: .bytes(content)]))
            }
            return .table(fields)
        }

        private mutating func node(_ node: Node) -> FlatbufferValue {
            var code: [Int: FlatbufferValue] = [
                0: .byte(UInt8(min(node.operation.rawValue, 127))), 2: .number(1), 3: .number(node.operation.rawValue),
            ]
            if !node.customCode.isEmpty { code[1] = .text(node.customCode) }
            codes.append(.table(code))
            var fields: [Int: FlatbufferValue] = [
                0: .number(codes.count - 1), 1: .numbers(node.inputs), 2: .numbers(node.outputs),
            ]
            if let options = node.options {
                fields[3] = .byte(options.type)
                fields[4] = options.table
            }
            return .table(fields)
        }
    }
}
