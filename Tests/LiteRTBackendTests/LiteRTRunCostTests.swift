import Inference
import Tensors
import TestSupport
import Testing

@testable import LiteRTBackend

extension LiteRTTests {
    /// Which models may run where nobody could interrupt them.
    @Suite struct RunCostTests {
        @Test func `products, copies and reshapes have no surprises`() throws {
            for bytes in [
                Models.product(dimensions: [nil, 2]), Models.reshape(.int32), Models.cast(.int32, to: .float32),
            ] {
                #expect(try Engine.load(bytes).costFollowsFromShapes)
            }
        }

        @Test func `outputs as large as a value says, and strings, have`() throws {
            for bytes in [Models.places(), Models.fill, Models.compare] {
                #expect(try !Engine.load(bytes).costFollowsFromShapes)
            }
        }

        @Test func `a model whose only instance has failed has to make another first`() throws {
            let model = try Engine.load(Models.product(dimensions: [2]))
            let two = try makeTensor(.float, [1, 2] as [Float])
            let three = try makeTensor(.float, [1, 2, 3] as [Float])
            #expect(model.costFollowsFromShapes)
            #expect(throws: InferenceError.self) { try model.run([two, three]) }
            #expect(!model.costFollowsFromShapes)
            #expect(try model.run([two, two]).first??.elements(as: Float.self) == [1, 4])
            #expect(model.costFollowsFromShapes)
        }
    }
}
