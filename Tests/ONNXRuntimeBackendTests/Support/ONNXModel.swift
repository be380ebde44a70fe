import Inference
import TestSupport

@testable import ONNXRuntimeBackend

/// ONNX models written by hand, after the field numbers of onnx.proto.
enum ONNX {
    /// The element types that the tests use.
    enum ElementType: Int {
        case float = 1
        case uint8, int8, uint16, int16, int32, int64, string, bool, float16, double
    }

    /// A model with one graph.
    static func model(_ graph: Protobuf) -> [UInt8] {
        model { $0.message(7, graph) }
    }

    /// A model with whatever else.
    static func model(_ build: (inout Protobuf) -> Void) -> [UInt8] {
        Protobuf { model in
            model.number(1, 8)
            model.message(8) { $0.number(2, 17) }
            model.message(8) { opset in
                opset.text(1, "ai.onnx.ml")
                opset.number(2, 3)
            }
            build(&model)
        }.bytes
    }

    static func graph(
        _ nodes: [Protobuf], inputs: [Protobuf] = [], outputs: [Protobuf] = [], initializers: [Protobuf] = []
    ) -> Protobuf {
        Protobuf { graph in
            for node in nodes { graph.message(1, node) }
            graph.text(2, "g")
            for tensor in initializers { graph.message(5, tensor) }
            for input in inputs { graph.message(11, input) }
            for output in outputs { graph.message(12, output) }
        }
    }

    static func node(
        _ operation: String, _ inputs: [String], _ outputs: [String], domain: String = "", _ attributes: [Protobuf] = []
    ) -> Protobuf {
        Protobuf { node in
            for input in inputs { node.text(1, input) }
            for output in outputs { node.text(2, output) }
            node.text(4, operation)
            for attribute in attributes { node.message(5, attribute) }
            if !domain.isEmpty { node.text(7, domain) }
        }
    }

    /// A named tensor input or output; any shape without `dimensions`, nil for a free dimension.
    static func value(_ name: String, _ type: ElementType, _ dimensions: [Int?]? = nil) -> Protobuf {
        Protobuf { value in
            value.text(1, name)
            value.message(2) { valueType in
                valueType.message(1) { tensor in
                    tensor.number(1, type.rawValue)
                    if let dimensions { tensor.message(2, shape(dimensions)) }
                }
            }
        }
    }

    private static func shape(_ dimensions: [Int?]) -> Protobuf {
        Protobuf { shape in
            for dimension in dimensions {
                shape.message(1) { if let dimension { $0.number(1, dimension) } }
            }
        }
    }

    /// A name alone: an output whose type the engine infers.
    static func untyped(_ name: String) -> Protobuf {
        Protobuf { $0.text(1, name) }
    }

    static func tensor<Element: BitwiseCopyable>(
        _ name: String, _ type: ElementType, _ dimensions: [Int], _ elements: [Element]
    ) -> Protobuf {
        Protobuf { tensor in
            for dimension in dimensions { tensor.number(1, dimension) }
            tensor.number(2, type.rawValue)
            tensor.text(8, name)
            tensor.content(9, elements.withUnsafeBytes { Array($0) })
        }
    }

    static func tensor(_ name: String, strings: [[UInt8]]) -> Protobuf {
        Protobuf { tensor in
            tensor.number(1, strings.count)
            tensor.number(2, ElementType.string.rawValue)
            for string in strings { tensor.content(6, string) }
            tensor.text(8, name)
        }
    }

    // MARK: Attributes

    static func attribute(_ name: String, integer: Int) -> Protobuf {
        Protobuf { attribute in
            attribute.text(1, name)
            attribute.number(3, integer)
            attribute.number(20, 2)
        }
    }

    static func attribute(_ name: String, integers: [Int]) -> Protobuf {
        Protobuf { attribute in
            attribute.text(1, name)
            for integer in integers { attribute.number(8, integer) }
            attribute.number(20, 7)
        }
    }

    static func attribute(_ name: String, tensor: Protobuf) -> Protobuf {
        Protobuf { attribute in
            attribute.text(1, name)
            attribute.message(5, tensor)
            attribute.number(20, 4)
        }
    }

    static func attribute(_ name: String, graph: Protobuf) -> Protobuf {
        Protobuf { attribute in
            attribute.text(1, name)
            attribute.message(6, graph)
            attribute.number(20, 5)
        }
    }
}
