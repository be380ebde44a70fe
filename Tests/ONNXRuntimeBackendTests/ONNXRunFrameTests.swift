import Tensors
import TestSupport
import Testing

@testable import Inference
@testable import ONNXRuntimeBackend

/// Runs of the same small shapes again and again, for which the engine's values are kept.
extension ONNXRuntimeTests {
    @Suite struct RunFrameTests {
        /// `rows` x 2, from `start` upwards.
        private static func numbers(_ rows: Int, from start: Int) throws -> Tensor {
            try makeTensor(.float, (0..<2 * rows).map { Float($0 + start) }, [rows, 2])
        }

        private static func product(_ session: any LoadedModel, rows: Int, _ left: Int, _ right: Int) throws -> [Float]
        {
            let outputs = try session.run([numbers(rows, from: left), numbers(rows, from: right)])
            return try #require(outputs.first ?? nil).elements(as: Float.self)
        }

        private static func expected(rows: Int, _ left: Int, _ right: Int) -> [Float] {
            (0..<2 * rows).map { Float(($0 + left) * ($0 + right)) }
        }

        @Test func `each run has its own data, whatever shapes came before`() throws {
            let session = try Engine.load(Models.product(dimensions: [nil, 2]))
            for round in 0..<20 {
                for rows in [1, 1, 1, 3, 3, 2] {
                    let outcome = try Self.product(session, rows: rows, round, 7 * round)
                    #expect(outcome == Self.expected(rows: rows, round, 7 * round))
                }
            }
        }

        @Test func `an output stays as it was when the model runs again`() throws {
            let session = try Engine.load(Models.identity(.float))
            let inputs = try (0..<10).map { try Self.numbers(1, from: $0) }
            let outputs = try inputs.map { try #require(try session.run([$0]).first ?? nil) }
            for (input, output) in zip(inputs, outputs) { #expect(output.storedBytes == input.storedBytes) }
        }

        @Test func `shapes that do not go together are an error each time, and others still run`() throws {
            let session = try Engine.load(Models.product(dimensions: [nil, 2]))
            for round in 0..<5 {
                _ = try Self.product(session, rows: 2, round, 1)
                let wrong = [try Self.numbers(2, from: 0), try Self.numbers(3, from: 0)]
                #expect(throws: InferenceError.self) { try session.run(wrong) }
                #expect(try Self.product(session, rows: 2, round, 3) == Self.expected(rows: 2, round, 3))
            }
        }

        @Test func `several threads do not see each other's data`() throws {
            let session = try Engine.load(Models.product(dimensions: [nil, 2]))
            let threads = (1...4).map { number in
                ThreadResult<Bool>(name: "runner \(number)") {
                    for round in 0..<500 {
                        let outcome = try Self.product(session, rows: 1, number, round)
                        guard outcome == Self.expected(rows: 1, number, round) else { return false }
                    }
                    return true
                }
            }
            for thread in threads { #expect(try thread.wait()) }
        }

        @Test func `strings, nothing and much are no business of frames`() throws {
            let small = try Self.numbers(1, from: 0)
            let large = try makeTensor(.float, [Float](repeating: 0, count: 4_096), [4_096])
            #expect(ONNXRunFrame.suits(inputs: [small], outputs: [small]))
            #expect(!ONNXRunFrame.suits(inputs: [small], outputs: [nil]))
            #expect(!ONNXRunFrame.suits(inputs: [large], outputs: [small]))
            #expect(!ONNXRunFrame.suits(inputs: [small], outputs: [try makeTensor(strings: ["a"], [1])]))
            #expect(!ONNXRunFrame.suits(inputs: [try Tensor(zeros: .float, [0, 2])], outputs: [small]))
        }
    }
}
