import Tensors
import TestSupport
import Testing

@testable import Inference
@testable import TensorFlowBackend

extension TensorFlowTests {
    @Suite struct InterruptTests {
        @Test func `a run that would take for ever is interrupted, and the model goes on`() throws {
            let model = try Engine.load(Graphs.loop, ["n"], ["end"])
            let watch = RunWatch(clock: .system)
            let run = ThreadResult<[Tensor?]>(name: "endless") { try model.run([Self.limit(.max)], watch: watch) }
            // The run may not have announced itself yet: interrupt until it has ended.
            while !run.hasEnded { watch.interrupt(olderThan: 0) }
            let error = try #require(throws: InferenceError.self) { try run.wait() }
            #expect(error.message.contains("cancelled") || error.message.contains("closed"))
            try #expect(model.run([Self.limit(3)]).first??.elements(as: Int64.self) == [3])
        }

        @Test func `a run beside an interrupted one ends as if nothing had happened`() throws {
            let model = try Engine.load(Graphs.loop, ["n"], ["end"])
            let watch = RunWatch(clock: .system)
            let endless = ThreadResult<[Tensor?]>(name: "endless") { try model.run([Self.limit(.max)], watch: watch) }
            let bystander = ThreadResult<[Int64]?>(name: "bystander") {
                try model.run([Self.limit(200_000)]).first??.elements(as: Int64.self)
            }
            while !endless.hasEnded { watch.interrupt(olderThan: 0) }
            try #expect(bystander.wait() == [200_000])
            #expect(throws: InferenceError.self) { try endless.wait() }
        }

        @Test func `an interrupt between runs reaches none`() throws {
            let model = try Engine.load(Graphs.loop, ["n"], ["end"])
            let watch = RunWatch(clock: .system)
            for count in 1...3 {
                let output = try model.run([Self.limit(Int64(count))], watch: watch).first ?? nil
                #expect(output?.elements(as: Int64.self) == [Int64(count)])
                watch.interrupt(olderThan: -1)
            }
        }

        private static func limit(_ count: Int64) throws -> Tensor {
            try makeTensor(.int64, [count], [])
        }
    }
}
