import Tensors
import TestSupport
import Testing

@testable import ONNXRuntimeBackend

/// Which models may run where nobody could interrupt them.
@Suite struct ONNXRunCostTests {
    private func followsFromShapes(_ model: [UInt8]) -> Bool {
        model.withUnsafeBytes { ONNXRunCost.followsFromShapes($0) }
    }

    @Test func `products, copies and weights have no surprises`() {
        #expect(followsFromShapes(Models.product(dimensions: [nil, 2])))
        #expect(followsFromShapes(Models.identity(.float)))
        #expect(followsFromShapes(Models.weighted(ONNX.tensor("w", .float, [2], [Float(1), 2]))))
    }

    @Test func `loops, sequences and outputs as large as a value says have`() {
        for model in [Models.loop, Models.sequence, Models.fill, Models.probabilities] {
            #expect(!followsFromShapes(model))
        }
    }

    @Test(arguments: [
        "If", "Scan", "Range", "Expand", "Tile", "Pad", "Resize", "NonZero", "OneHot", "TopK", "RandomNormal", "Frob",
        "",
    ])
    func `operators that are not known to have none have`(operation: String) {
        #expect(!followsFromShapes(model([ONNX.node(operation, ["x"], ["y"])])))
    }

    @Test(arguments: ["Reshape", "Slice", "Squeeze", "Unsqueeze"])
    func `what says the shape of an output must be constant`(operation: String) {
        let node = ONNX.node(operation, ["x", "s"], ["y"])
        #expect(!followsFromShapes(model([node])))
        let constant = ONNX.tensor("s", .int64, [1], [Int64(1)])
        let graph = ONNX.graph([node], inputs: [ONNX.value("x", .float, [nil])], initializers: [constant])
        #expect(followsFromShapes(ONNX.model(graph)))
    }

    @Test func `one such operator among others is enough`() {
        let nodes = [ONNX.node("Relu", ["x"], ["z"]), ONNX.node("NonZero", ["z"], ["y"])]
        #expect(followsFromShapes(model([nodes[0]])))
        #expect(!followsFromShapes(model(nodes)))
    }

    @Test func `operators of other domains are not what their names say`() {
        #expect(!followsFromShapes(model([ONNX.node("Relu", ["x"], ["y"], domain: "com.microsoft")])))
        #expect(!followsFromShapes(model([ONNX.node("Relu", ["x"], ["y"], domain: "ai.onnx.ml")])))
        #expect(followsFromShapes(model([ONNX.node("Scaler", ["x"], ["y"], domain: "ai.onnx.ml")])))
    }

    @Test func `a model with functions of its own is not looked through`() {
        let graph = ONNX.graph([ONNX.node("Relu", ["x"], ["y"])])
        let withFunction = ONNX.model { model in
            model.message(7, graph)
            model.message(25) { $0.text(1, "Relu") }
        }
        #expect(!followsFromShapes(withFunction))
    }

    @Test func `a shape that is a constant cannot surprise, one that clients give can`() {
        let shape = ONNX.tensor("s", .int64, [2], [1, -1])
        let reshape = ONNX.node("Reshape", ["x", "s"], ["y"])
        let input = ONNX.value("s", .int64, [2])
        #expect(followsFromShapes(ONNX.model(ONNX.graph([reshape], initializers: [shape]))))
        #expect(!followsFromShapes(ONNX.model(ONNX.graph([reshape], inputs: [input]))))
        // An initializer that is an input as well is a default.
        #expect(!followsFromShapes(ONNX.model(ONNX.graph([reshape], inputs: [input], initializers: [shape]))))
    }

    @Test func `what cannot be read, or holds two graphs, is not trusted`() {
        let graph = ONNX.graph([ONNX.node("Relu", ["x"], ["y"])])
        #expect(!followsFromShapes([]))
        #expect(!followsFromShapes([0xFF, 0xFF]))
        #expect(
            !followsFromShapes(
                ONNX.model { model in
                    model.message(7, graph)
                    model.message(7, graph)
                }))
    }

    private func model(_ nodes: [Protobuf]) -> [UInt8] {
        ONNX.model(ONNX.graph(nodes, inputs: [ONNX.value("x", .float, [nil])]))
    }
}
