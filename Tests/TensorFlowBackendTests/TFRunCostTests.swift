import Inference
import Tensors
import TestSupport
import Testing

@testable import TensorFlowBackend

/// Which graphs may run where nobody could interrupt them.
@Suite struct TFRunCostTests {
    private func followsFromShapes(_ graph: [UInt8]) throws -> Bool {
        try graph.withUnsafeBytes { bytes in
            try TFGraphReader.check(frozen: bytes, allowsUnsafeOperations: true).costFollowsFromShapes
        }
    }

    private func graph(_ nodes: [Protobuf], functions: [Protobuf] = []) -> [UInt8] {
        TF.graph([TF.placeholder("x", .float)] + nodes, functions: functions).bytes
    }

    @Test func `products, sums and weights have no surprises`() throws {
        for bytes in [Graphs.product(), Graphs.sum, Graphs.weighted(count: 3), Graphs.unary("Relu", .float)] {
            #expect(try followsFromShapes(bytes))
        }
    }

    @Test func `loops and texts have`() throws {
        for bytes in [Graphs.loop, Graphs.text("a"), Graphs.unary("Identity", .string)] {
            #expect(try !followsFromShapes(bytes))
        }
    }

    @Test(arguments: [
        "While", "StatelessIf", "Switch", "Merge", "Where", "Unique", "RandomUniform", "Range", "Fill",
        "PartitionedCall",
        "QueueDequeueV2", "VariableV2", "GatherV2", "FloorDiv", "Pow", "Frob", "",
    ])
    func `operations that are not known to have none have`(operation: String) throws {
        #expect(try !followsFromShapes(graph([TF.node("y", operation, ["x"])])))
    }

    @Test func `one such operation among others is enough`() throws {
        let relu = TF.node("y", "Relu", ["x"])
        #expect(try followsFromShapes(graph([relu])))
        #expect(try !followsFromShapes(graph([relu, TF.node("z", "Where", ["y"])])))
    }

    @Test func `a shape that is a constant cannot surprise, one that is calculated can`() throws {
        let shape = TF.constant("s", .int32, [2], [Int32(1), -1])
        #expect(try followsFromShapes(graph([shape, TF.node("y", "Reshape", ["x", "s"])])))
        #expect(try followsFromShapes(graph([shape, TF.node("y", "Reshape", ["x", "s:0", "^s"])])))
        #expect(try !followsFromShapes(graph([shape, TF.node("y", "Reshape", ["s", "x"])])))
        #expect(try !followsFromShapes(graph([shape, TF.node("y", "Reshape", ["x"])])))
        #expect(try !followsFromShapes(graph([shape, TF.node("y", "Reshape", ["x", "^s"])])))
        #expect(try !followsFromShapes(graph([TF.placeholder("s", .int32), TF.node("y", "Reshape", ["x", "s"])])))
    }

    @Test func `the axis of a list is the last of its inputs`() throws {
        let axis = TF.constant("a", .int32, [], [Int32(0)])
        #expect(try followsFromShapes(graph([axis, TF.node("y", "ConcatV2", ["x", "x", "a"])])))
        #expect(try !followsFromShapes(graph([axis, TF.node("y", "ConcatV2", ["a", "x"])])))
    }

    @Test func `a graph with functions of its own is not looked through`() throws {
        let function = TF.function("f", [("x", .float)], [TF.node("y", "Relu", ["x"])])
        #expect(try !followsFromShapes(graph([TF.node("y", "Relu", ["x"])], functions: [function])))
    }
}

extension TensorFlowTests {
    @Suite struct QuickRunTests {
        private func product() throws -> any LoadedModel { try Engine.load(Graphs.product(), ["a", "b"], ["mul"]) }

        @Test func `a model qualifies as its graph does`() throws {
            #expect(try product().costFollowsFromShapes)
            #expect(try !Engine.load(Graphs.loop, ["n"], ["end"]).costFollowsFromShapes)
        }

        @Test func `a failure names the operation, and the model goes on`() throws {
            let model = try product()
            let two = try makeTensor(.float, [1, 2] as [Float])
            let three = try makeTensor(.float, [1, 2, 3] as [Float])
            for _ in 1...3 {
                let error = try #require(throws: InferenceError.self) { try model.run([two, three]) }
                #expect(error.message.contains("{{node mul}}"))
                #expect(try model.run([two, two]).first??.elements(as: Float.self) == [1, 4])
                #expect(model.costFollowsFromShapes)
            }
        }
    }
}
