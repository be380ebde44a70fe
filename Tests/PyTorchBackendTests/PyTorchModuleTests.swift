import Foundation
import Glibc
import Inference
import Tensors
import TestSupport
import Testing

extension PyTorchTests {
    @Suite struct ModuleTests {
        private func load(_ forward: String) throws -> any LoadedModel {
            try Engine.load(TorchArchive.module(forward))
        }

        private static let sum = """
              def forward(self: __torch__.M, left: Tensor, right: Tensor) -> Tensor:
                return torch.add(left, right)
            """

        @Test func `a module has the inputs of its function, and outputs without names`() throws {
            let module = try load(Self.sum)
            #expect(module.inputNames == ["left", "right"])
            #expect(module.outputNames == [""])
            #expect(try module.run([floats(1, 2), floats(10, 20)]).map { $0?.floats } == [[11, 22]])
        }

        @Test func `a tuple has as many outputs as it has tensors`() throws {
            let module = try load(
                """
                  def forward(self: __torch__.M, x: Tensor) -> Tuple[Tensor, Tensor]:
                    return (x, torch.neg(x))
                """)
            #expect(module.outputNames == ["", ""])
            #expect(try module.run([floats(1)]).map { $0?.floats } == [[1], [-1]])
        }

        @Test func `a list of unknown length is refused`() throws {
            let error = try #require(throws: InferenceError.self) {
                try load("  def forward(self: __torch__.M, x: Tensor) -> List[Tensor]:\n    return [x]")
            }
            #expect(error.message == "Erorr while trying to retrive model outputs number: std::exception")
        }

        @Test func `a module without forward is refused`() {
            #expect(throws: InferenceError.self) {
                try load("  def backward(self: __torch__.M, x: Tensor) -> Tensor:\n    return x")
            }
        }

        @Test func `inputs are not changed by a module that writes to them`() throws {
            let module = try load(
                "  def forward(self: __torch__.M, x: Tensor) -> Tensor:\n    return torch.add_(x, 1)")
            let input = try floats(1, 2)
            #expect(try module.run([input]).first??.floats == [2, 3])
            #expect(input.floats == [1, 2])
        }

        @Test func `inputs are let go of, however the run ends`() throws {
            let module = try load(Self.sum)
            for count in [2, 3] {
                weak var input: Tensor?
                do {
                    let tensor = try Tensor(zeros: .float, [count])
                    input = tensor
                    _ = try? module.run([tensor, Tensor(zeros: .float, [2])])
                }
                #expect(input == nil)
            }
        }

        @Test func `a wrong type is told`() throws {
            let module = try load("  def forward(self: __torch__.M, x: int) -> Tensor:\n    return torch.tensor(x)")
            #expect(throws: InferenceError.self) { try module.run([floats(1, 2)]) }
        }

        @Test func `operations on files are refused`() {
            #expect(throws: InferenceError("ERR TorchScript holds the operation aten::from_file, which is not allowed"))
            {
                try load("  def forward(self: __torch__.M, x: Tensor) -> Tensor:\n    return torch.from_file(\"f\")")
            }
        }

        @Test func `modules cannot reach the server`() throws {
            let module = try load(
                """
                  def forward(self: __torch__.M, x: Tensor) -> Tensor:
                    _0 = ops.redis.execute("FLUSHALL", annotate(List[str], []))
                    return x
                """)
            let error = try #require(throws: InferenceError.self) { try module.run([floats(1)]) }
            #expect(error.message.contains("redis.execute can only be used by scripts"))
        }

        @Test(arguments: [[], [1, 2, 3], Array("PK\u{3}\u{4} not an archive".utf8)])
        func `what is no archive is refused`(bytes: [UInt8]) {
            #expect(throws: InferenceError.self) { try Engine.load(bytes) }
        }

        @Test func `a damaged archive is no crash`() {
            let archive = TorchArchive.module(Self.sum)
            for index in stride(from: 0, to: archive.count, by: 7) {
                var damaged = archive
                damaged[index] ^= 0x55
                _ = try? Engine.load(damaged)
                _ = try? Engine.load(Array(archive.prefix(index)))
            }
        }

        @Test func `a GPU is refused`() {
            #expect(throws: InferenceError("GPU requested but Torch couldn't find CUDA")) {
                try Engine.load(TorchArchive.module(Self.sum), device: "GPU")
            }
        }
    }

    /// A network that is used in practice: it finds speech.
    @Suite struct SileroTests {
        private struct Missing: Error, CustomStringConvertible {
            let description =
                "The environment variable REDISAI_SILERO_VAD does not name the folder of the network. "
                + "`make test-unit` sets it; by hand: eval \"$(python3 scripts/bootstrap env)\"."
        }

        private func archive() throws -> [UInt8] {
            guard let folder = getenv("REDISAI_SILERO_VAD") else { throw Missing() }
            let files = try #require(FileManager.default.enumerator(atPath: String(cString: folder)))
            let path = try #require(files.compactMap { $0 as? String }.first { $0.hasSuffix("silero_vad.jit") })
            return Array(try Data(contentsOf: URL(fileURLWithPath: String(cString: folder) + "/" + path)))
        }

        @Test func `its memory is counted while it lives`() throws {
            let before = try Engine.memoryInUse()
            var module: (any LoadedModel)? = try Engine.load(archive())
            let usage = try #require(module).memoryUsage
            #expect(usage > 100_000)
            #expect(try Engine.memoryInUse() >= before + usage)
            module = nil
            #expect(try Engine.memoryInUse() == before)
        }
    }
}
