import Inference
import TestSupport
import Testing

extension PyTorchTests {
    /// Which modules may run where nobody could interrupt them.
    @Suite struct RunCostTests {
        private func followsFromShapes(_ body: String, parameter: String = "Tensor") throws -> Bool {
            let method = "  def forward(self: __torch__.M, x: \(parameter)) -> Tensor:\n"
            let lines = body.split(separator: "\n").map { "    \($0)\n" }.joined()
            return try Engine.load(TorchArchive.module(method + lines)).costFollowsFromShapes
        }

        @Test(arguments: [
            "return torch.neg(x)", "return torch.add(torch.relu(x), 1)", "return torch.softmax(torch.mul(x, x), 0)",
            "return torch.reshape(x, [torch.size(x, 0), -1])", "return torch.dropout(x, 0.5, False)",
            "return torch.cat([x, x], 0)", "return torch.slice(x, 0, 0, 2, 1)", "return torch.narrow(x, 0, 0, 1)",
            "return torch.cat(torch.split(x, 1, 0), 0)", "return torch.cat(torch.chunk(x, 2, 0), 0)",
        ])
        func `calculations have no surprises`(body: String) throws {
            #expect(try followsFromShapes(body))
        }

        @Test(arguments: [
            "return torch.nonzero(x)", "return torch.zeros([int(x)])", "return torch.rand_like(x)",
            "return torch.dropout(x, 0.5, True)",
            "return torch.sort(x)[0]",
        ])
        func `what depends on values, or on what others use, has`(body: String) throws {
            #expect(try !followsFromShapes(body))
        }

        @Test func `so have branches, loops and tasks`() throws {
            #expect(
                try !followsFromShapes(
                    """
                    if bool(torch.gt(torch.sum(x), 0)):
                      y = torch.neg(x)
                    else:
                      y = x
                    return y
                    """))
            #expect(
                try !followsFromShapes(
                    """
                    y = x
                    for _0 in range(3):
                      y = torch.neg(y)
                    return y
                    """))
        }

        @Test func `a number that a client gives can be a size`() throws {
            #expect(try !followsFromShapes("return torch.neg(torch.tensor(x))", parameter: "int"))
        }

        @Test func `a module that qualifies answers as before`() throws {
            let module = try Engine.load(
                TorchArchive.module(
                    "  def forward(self: __torch__.M, x: Tensor) -> Tensor:\n    return torch.mul(x, x)"))
            for _ in 1...5 { #expect(try module.run([floats(1, 2, 3)]).first??.floats == [1, 4, 9]) }
            #expect(throws: InferenceError.self) { try module.run([]) }
            #expect(throws: InferenceError.self) { try module.run([floats(1), floats(2)]) }
        }
    }
}
