import Tensors
import TestSupport
import Testing

@testable import Inference
@testable import LiteRTBackend

extension LiteRTTests {
    @Suite struct RunErrorTests {
        private func failure(of model: any LoadedModel, _ inputs: [Tensor]) throws -> String {
            try #require(throws: InferenceError.self) { try model.run(inputs) }.message
        }

        @Test func `a wrong data type is refused`() throws {
            let model = try Engine.load(Models.product(dimensions: [2]))
            try #expect(
                failure(of: model, [Tensor(zeros: .double, [2]), Tensor(zeros: .float, [2])])
                    == "Input tensor type doesn't match the type expected by the model definition")
        }

        @Test func `so is a wrong number of inputs`() throws {
            let model = try Engine.load(Models.product(dimensions: [2]))
            try #expect(failure(of: model, [Tensor(zeros: .float, [2])]) == "Inconsistent number of inputs")
            try #expect(failure(of: model, []) == "Inconsistent number of inputs")
        }

        @Test func `so are data types that the module does not have`() throws {
            try #expect(
                failure(of: Engine.load(Models.cast(.float16, to: .float32)), [Tensor(zeros: .float, [2])])
                    == "Float16 not currently supported as input tensor data type")
            try #expect(
                failure(of: Engine.load(Models.cast(.float32, to: .float16)), [Tensor(zeros: .float, [2])])
                    == "Float16 not currently supported as output tensor data type")
            try #expect(
                failure(of: Engine.load(Models.reshape(.uint32)), [Tensor(zeros: .int32, [3, 2])])
                    == "Unsupported input data type")
            try #expect(
                failure(of: Engine.load(Models.cast(.float32, to: .uint32)), [Tensor(zeros: .float, [2])])
                    == "Unsupported output data type")
        }

        @Test(arguments: [[0], [], [1, 1, 1, 1, 1, 1, 1, 1, 2], Array(repeating: 1, count: 64)])
        func `a shape that the engine cannot have is refused`(dimensions: [Int]) throws {
            let model = try Engine.load(Models.product(dimensions: [2]))
            let input = try Tensor(zeros: .float, Shape(dimensions))
            try #expect(failure(of: model, [input, input]) == "Failed to resize input tensors")
        }

        @Test func `shapes that do not fit each other are refused, and the model goes on`() throws {
            let model = try Engine.load(Models.product(dimensions: [2]))
            let input = try makeTensor(.float, [3, 4] as [Float])
            try #expect(failure(of: model, [Tensor(zeros: .float, [3]), input]) == "Failed to allocate tensors")
            try #expect(model.run([input, input]).first??.elements(as: Float.self) == [9, 16])
        }

        @Test func `a result that is too large is refused, and the model goes on`() throws {
            let model = try Engine.load(Models.product(dimensions: [nil, nil]))
            let column = try Tensor(zeros: .float, [20_000, 1])
            let row = try Tensor(zeros: .float, [1, 20_000])
            try #expect(failure(of: model, [column, row]) == "ERR tensor size exceeds the limit")
            try #expect(model.run([row, row]).first??.shape == [1, 20_000])
        }

        @Test func `a run that fails says so, and the model goes on`() throws {
            let model = try Engine.load(Models.fill)
            try #expect(failure(of: model, [makeTensor(.int32, [-1] as [Int32])]) == "Failed to invoke TfLite")
            try #expect(model.run([makeTensor(.int32, [2] as [Int32])]).first??.elements(as: Float.self) == [1, 1])
        }
    }

    @Suite struct InterruptTests {
        @Test func `a run that would take for ever is interrupted, and the model goes on`() throws {
            let model = try Engine.load(Models.loop)
            let watch = RunWatch(clock: .system)
            let run = ThreadResult<[Tensor?]>(name: "endless") {
                try model.run([makeTensor(.int32, [Int32.max], [])], watch: watch)
            }
            // The run may not have announced itself yet: interrupt until it has ended.
            while !run.hasEnded { watch.interrupt(olderThan: 0) }
            let error = try #require(throws: InferenceError.self) { try run.wait() }
            #expect(error.message.contains("Client requested cancel during Invoke()"))
            try #expect(model.run([makeTensor(.int32, [3 as Int32], [])]).first??.elements(as: Int32.self) == [3])
        }

        @Test func `an interrupt between runs reaches none`() throws {
            let model = try Engine.load(Models.loop)
            let watch = RunWatch(clock: .system)
            for count in 1...3 as ClosedRange<Int32> {
                let output = try model.run([makeTensor(.int32, [count], [])], watch: watch).first ?? nil
                #expect(output?.elements(as: Int32.self) == [count])
                watch.interrupt(olderThan: -1)
            }
        }
    }
}
