import Inference
import Tensors
import TestSupport
import Testing

@testable import ONNXRuntimeBackend

extension ONNXRuntimeTests {
    @Suite struct LoadTests {
        @Test func `the library tells its version`() throws {
            let version = try Engine.backend().version.split(separator: ".").map { Int($0) }
            #expect(version.count == 3)
            #expect(!version.contains(nil))
        }

        @Test func `a GPU is refused`() {
            #expect(throws: InferenceError("ERR GPU requested but ONNX couldn't find CUDA")) {
                try Engine.load(Models.sum, device: "GPU:0")
            }
        }

        @Test func `a model without a graph is refused with the engine's text`() throws {
            let error = try #require(throws: InferenceError.self) {
                try Engine.load(ONNX.model { $0.text(2, "producer") })
            }
            #expect(error.message == "No graph was found in the protobuf.")
        }

        @Test(arguments: [[], [1, 2, 3], Array("not a model".utf8)])
        func `what is no model is refused`(bytes: [UInt8]) {
            #expect(throws: InferenceError.self) { try Engine.load(bytes) }
        }

        @Test func `an operator that does not exist is named`() throws {
            let error = try #require(throws: InferenceError.self) {
                try Engine.load(
                    ONNX.model(
                        ONNX.graph(
                            [ONNX.node("Frobnicate", ["x"], ["y"])], inputs: [ONNX.value("x", .float)],
                            outputs: [ONNX.value("y", .float)])))
            }
            #expect(error.message.contains("Frobnicate"))
        }

        @Test func `a model that reads a file is refused before the engine sees it`() {
            let weights = Protobuf { tensor in
                tensor.number(1, 2)
                tensor.number(2, ONNX.ElementType.float.rawValue)
                tensor.text(8, "w")
                tensor.message(13) { entry in
                    entry.text(1, "location")
                    entry.text(2, "weights.bin")
                }
                tensor.number(14, 1)
            }
            #expect(throws: InferenceError("Initializer tensors with external data is not allowed.")) {
                try Engine.load(Models.weighted(weights))
            }
        }

        @Test func `the memory of a model is counted while it lives`() throws {
            let count = 300_000
            let weights = ONNX.tensor("w", .float, [count], [Float](repeating: 2, count: count))
            let before = try Engine.memoryInUse()
            var session: (any LoadedModel)? = try Engine.load(Models.weighted(weights))
            try #expect(#require(session).memoryUsage >= count * 4)
            try #expect(Engine.memoryInUse() >= before + count * 4)
            session = nil
            try #expect(Engine.memoryInUse() == before)
        }

        @Test func `a refused model leaves nothing behind`() throws {
            let before = try Engine.memoryInUse()
            let weights = ONNX.tensor("w", .float, [1_000], [Float](repeating: 2, count: 999))
            #expect(throws: InferenceError.self) { try Engine.load(Models.weighted(weights)) }
            try #expect(Engine.memoryInUse() == before)
        }
    }

    @Suite struct LibraryTests {
        private func failure(path: String) throws -> String {
            try #require(throws: InferenceError.self) {
                try ONNXRuntimeBackend(path: path, settings: EngineSettings())
            }.message
        }

        @Test func `a file that is no library is refused`() throws {
            try #expect(failure(path: "/dev/null").isEmpty == false)
            try #expect(failure(path: "/no/such/library.so").contains("/no/such/library.so"))
        }

        @Test func `a library that is not the engine's is refused`() throws {
            try #expect(failure(path: "libc.so.6") == "libc.so.6 is not ONNX Runtime")
        }
    }
}
