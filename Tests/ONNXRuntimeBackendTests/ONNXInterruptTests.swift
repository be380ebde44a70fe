import Tensors
import TestSupport
import Testing

@testable import Inference
@testable import ONNXRuntimeBackend

extension ONNXRuntimeTests {
    @Suite struct InterruptTests {
        @Test func `a run that would take for ever is interrupted, and the session goes on`() throws {
            let session = try Engine.load(Models.loop)
            let watch = RunWatch(clock: .system)
            let run = ThreadResult<[Tensor?]>(name: "endless") {
                try session.run([Self.trips(.max), Self.start], watch: watch)
            }
            // The run may not have announced itself yet: interrupt until it has ended.
            while !run.hasEnded { watch.interrupt(olderThan: 0) }
            let error = try #require(throws: InferenceError.self) { try run.wait() }
            #expect(error.message.contains("terminate"))
            let output = try #require(try session.run([Self.trips(3), Self.start]).first ?? nil)
            #expect(output.elements(as: Float.self) == [3])
        }

        @Test func `an interrupt between runs reaches none`() throws {
            let session = try Engine.load(Models.loop)
            let watch = RunWatch(clock: .system)
            for count in 1...3 {
                let output = try session.run([Self.trips(Int64(count)), Self.start], watch: watch).first ?? nil
                #expect(output?.elements(as: Float.self) == [Float(count)])
                watch.interrupt(olderThan: -1)
            }
        }

        private static func trips(_ count: Int64) throws -> Tensor {
            try makeTensor(.int64, [count], [])
        }

        private static var start: Tensor {
            get throws { try makeTensor(.float, [0] as [Float], []) }
        }
    }
}
