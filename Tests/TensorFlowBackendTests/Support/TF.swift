import Tensors
import TestSupport

@testable import TensorFlowBackend

/// Graphs written by hand, after the field numbers of graph.proto and its imports.
enum TF {
    static let half = 19

    static func graph(_ nodes: [Protobuf], functions: [Protobuf] = [], gradients: [Protobuf] = []) -> Protobuf {
        Protobuf { graph in
            for node in nodes { graph.message(1, node) }
            if !functions.isEmpty || !gradients.isEmpty {
                graph.message(2) { library in
                    for function in functions { library.message(1, function) }
                    for gradient in gradients { library.message(2, gradient) }
                }
            }
            // The oldest library that may read it, and the version it was written for.
            graph.message(4) { $0.number(1, 1_000) }
        }
    }

    static func node(
        _ name: String, _ operation: String, _ inputs: [String] = [], _ attributes: [Protobuf] = []
    ) -> Protobuf {
        Protobuf { node in
            node.text(1, name)
            node.text(2, operation)
            for input in inputs { node.text(3, input) }
            for attribute in attributes { node.message(5, attribute) }
        }
    }

    static func placeholder(_ name: String, _ type: DataType, _ dimensions: [Int]? = nil) -> Protobuf {
        node(name, "Placeholder", [], [attribute("dtype", type), attribute("shape", shape: dimensions)])
    }

    static func constant<Element: BitwiseCopyable>(
        _ name: String, _ type: DataType, _ dimensions: [Int], _ elements: [Element], after: [String] = []
    ) -> Protobuf {
        let tensor = Protobuf { tensor in
            tensor.number(1, Int(type.tensorFlowType))
            tensor.message(2, shape(dimensions))
            tensor.content(4, elements.withUnsafeBytes { Array($0) })
        }
        return node(name, "Const", after, [attribute("dtype", type), attribute("value") { $0.message(8, tensor) }])
    }

    static func text(_ name: String, _ text: String) -> Protobuf {
        let tensor = Protobuf { tensor in
            tensor.number(1, Int(DataType.string.tensorFlowType))
            tensor.message(2, Protobuf())
            tensor.text(8, text)
        }
        return node(name, "Const", [], [attribute("dtype", .string), attribute("value") { $0.message(8, tensor) }])
    }

    static func function(
        _ name: String, _ arguments: [(name: String, type: DataType)], _ nodes: [Protobuf],
        results: [(name: String, type: DataType, value: String)] = [], _ attributes: [Protobuf] = []
    ) -> Protobuf {
        Protobuf { function in
            function.message(1) { signature in
                signature.text(1, name)
                for argument in arguments { signature.message(2, parameter(argument.name, argument.type)) }
                for result in results { signature.message(3, parameter(result.name, result.type)) }
            }
            for node in nodes { function.message(3, node) }
            for result in results {
                function.message(4) { entry in
                    entry.text(1, result.name)
                    entry.text(2, result.value)
                }
            }
            for attribute in attributes { function.message(5, attribute) }
        }
    }

    private static func parameter(_ name: String, _ type: DataType) -> Protobuf {
        Protobuf { parameter in
            parameter.text(1, name)
            parameter.number(3, Int(type.tensorFlowType))
        }
    }

    // MARK: Attributes

    static func attribute(_ name: String, _ value: (inout Protobuf) -> Void) -> Protobuf {
        Protobuf { entry in
            entry.text(1, name)
            entry.message(2, value)
        }
    }

    static func attribute(_ name: String, _ type: DataType) -> Protobuf {
        attribute(name, typeNumber: Int(type.tensorFlowType))
    }

    static func attribute(_ name: String, typeNumber: Int) -> Protobuf {
        attribute(name) { $0.number(6, typeNumber) }
    }

    static func attribute(_ name: String, types: [DataType]) -> Protobuf {
        attribute(name) { value in
            value.message(1) { list in for type in types { list.number(6, Int(type.tensorFlowType)) } }
        }
    }

    static func attribute(_ name: String, text: String) -> Protobuf {
        attribute(name) { $0.text(2, text) }
    }

    static func attribute(_ name: String, integer: Int) -> Protobuf {
        attribute(name) { $0.number(3, integer) }
    }

    static func attribute(_ name: String, flag: Bool) -> Protobuf {
        attribute(name) { $0.number(5, flag ? 1 : 0) }
    }

    static func attribute(_ name: String, function: String, _ attributes: [Protobuf] = []) -> Protobuf {
        attribute(name) { $0.message(10, reference(function, attributes)) }
    }

    static func attribute(_ name: String, functions: [String]) -> Protobuf {
        attribute(name) { value in
            value.message(1) { list in for function in functions { list.message(9, reference(function)) } }
        }
    }

    private static func reference(_ function: String, _ attributes: [Protobuf] = []) -> Protobuf {
        Protobuf { reference in
            reference.text(1, function)
            for attribute in attributes { reference.message(2, attribute) }
        }
    }

    static func attribute(_ name: String, shape dimensions: [Int]?) -> Protobuf {
        attribute(name) { value in
            value.message(7, dimensions.map(shape) ?? Protobuf { $0.number(3, 1) })
        }
    }

    static func shape(_ dimensions: [Int]) -> Protobuf {
        Protobuf { shape in
            for dimension in dimensions { shape.message(2) { $0.number(1, dimension) } }
        }
    }

    // MARK: Calls

    static func call(_ name: String, _ function: String, _ inputs: [String] = [], _ types: [DataType] = []) -> Protobuf
    {
        node(
            name, "StatefulPartitionedCall", inputs,
            [attribute("f", function: function), attribute("Tin", types: types), attribute("Tout", types: [])])
    }
}
