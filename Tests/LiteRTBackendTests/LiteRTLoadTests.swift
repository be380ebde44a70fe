import Inference
import Tensors
import TestSupport
import Testing

@testable import LiteRTBackend

extension LiteRTTests {
    @Suite struct LoadTests {
        @Test func `INFO has one field`() throws {
            let fields = try Engine.backend().info(workers: 3)
            #expect(fields.map(\.name) == ["TensorFlowLite_version"])
            #expect(fields.map(\.value) == ["NA"])
        }

        @Test func `a GPU is refused`() {
            #expect(throws: InferenceError("Failed to set GPU delegate")) {
                try Engine.load(Models.product(dimensions: [2]), device: "GPU:0")
            }
        }

        @Test(arguments: [
            [], [1, 2, 3], Array("not a model, whatever it says".utf8), [4, 0, 0, 0] + Array("TFL3".utf8),
        ])
        func `what is no model is refused`(bytes: [UInt8]) {
            #expect(throws: InferenceError("Failed to load model from buffer")) { try Engine.load(bytes) }
        }

        @Test func `an operator that does not exist is refused`() {
            let graph = TFLite.Graph(
                [TFLite.Tensor("x"), TFLite.Tensor("y")], inputs: [0], outputs: [1],
                [TFLite.Node(.custom, [0], [1], customCode: "Frobnicate")])
            #expect(throws: InferenceError("Failed to allocate tensors")) { try Engine.load(TFLite.model(graph)) }
        }

        @Test func `a model whose shapes do not fit is refused`() {
            var graph = Models.productGraph()
            graph.tensors[0].dimensions = [3]
            #expect(throws: InferenceError("Failed to allocate tensors")) { try Engine.load(TFLite.model(graph)) }
        }

        @Test func `without signature the names are those of the tensors`() throws {
            let model = try Engine.load(Models.product(dimensions: [2]))
            #expect(model.inputNames == ["a", "b"])
            #expect(model.outputNames == ["product"])
        }

        @Test func `with a signature the names are its own, in the order of the graph`() throws {
            let signature = TFLite.Signature(inputs: [("right", 1), ("left", 0)], outputs: [("result", 2)])
            let model = try Engine.load(TFLite.model(Models.productGraph(), signatures: [signature]))
            #expect(model.inputNames == ["left", "right"])
            #expect(model.outputNames == ["result"])
            let outputs = try model.run([
                makeTensor(.float, [1, 2] as [Float]), makeTensor(.float, [3, 4] as [Float]),
            ])
            #expect(outputs.first??.elements(as: Float.self) == [3, 8])
        }

        @Test func `the signature of the first graph is taken`() throws {
            var other = Models.productGraph()
            other.nodes[0].operation = .sub
            let signatures = [1, 0].map { graph in
                TFLite.Signature(
                    key: "graph\(graph)", inputs: [("a\(graph)", 0), ("b\(graph)", 1)], outputs: [("c\(graph)", 2)],
                    graph: graph)
            }
            let model = try Engine.load(TFLite.model([Models.productGraph(), other], signatures: signatures))
            #expect(model.inputNames == ["a0", "b0"])
            let inputs = [try makeTensor(.float, [5, 6] as [Float]), try makeTensor(.float, [3, 4] as [Float])]
            try #expect(model.run(inputs).first??.elements(as: Float.self) == [15, 24])
            let alone = try Engine.load(
                TFLite.model([Models.productGraph(), other], signatures: [signatures[0]]))
            try #expect(alone.run(inputs).first??.elements(as: Float.self) == [2, 2])
        }

        @Test func `a model in several pieces is taken`() throws {
            let bytes = Models.product(dimensions: [2])
            let pieces = [Bytes(bytes[..<100]), Bytes(bytes[100...])]
            let model = try Engine.backend().load(Engine.definition(pieces))
            let input = try makeTensor(.float, [3, 4] as [Float])
            try #expect(model.run([input, input]).first??.elements(as: Float.self) == [9, 16])
        }

        @Test func `memory is estimated from the model`() throws {
            let model = try Engine.load(Engine.audioModel())
            #expect(model.memoryUsage > 200_000)
        }
    }

    @Suite struct LibraryTests {
        private func failure(path: String) throws -> String {
            try #require(throws: InferenceError.self) {
                try LiteRTBackend(path: path, settings: EngineSettings())
            }.message
        }

        @Test func `a file that is no library is refused`() throws {
            try #expect(failure(path: "/dev/null").isEmpty == false)
            try #expect(failure(path: "/no/such/library.so").contains("/no/such/library.so"))
        }

        @Test func `a library that is not the engine's is refused`() throws {
            try #expect(failure(path: "libc.so.6") == "libc.so.6 is not LiteRT")
        }
    }
}
