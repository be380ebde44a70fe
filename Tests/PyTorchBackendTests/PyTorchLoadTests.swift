import Inference
import Testing

@testable import PyTorchBackend

/// Everything that uses the real library, one test after the other: they share its memory counter.
@Suite(.serialized) struct PyTorchTests {}

extension PyTorchTests {
    @Suite struct LibraryTests {
        @Test func `the library tells its version`() throws {
            let version = try Engine.backend().version.split(separator: ".").map { Int($0) }
            #expect(version.count == 3)
            #expect(!version.contains(nil))
        }

        @Test func `INFO gets one field without a version`() throws {
            let fields = try Engine.backend().info(workers: 3)
            #expect(fields.map(\.name) == ["Torch_version"])
            #expect(fields.map(\.value) == ["NA"])
        }

        private func failure(path: String) throws -> String {
            try #require(throws: InferenceError.self) {
                try PyTorchBackend(path: path, settings: EngineSettings())
            }.message
        }

        @Test func `a file that is no library is refused`() throws {
            try #expect(failure(path: "/dev/null").isEmpty == false)
            try #expect(failure(path: "/no/such/library.so").contains("/no/such/library.so"))
        }

        @Test func `a library that is not ours is refused`() throws {
            try #expect(failure(path: "libm.so.6") == "libm.so.6 is not this module's library for PyTorch")
        }
    }

    @Suite struct CompileTests {
        private static let entry =
            "def f(tensors: List[Tensor], keys: List[str], args: List[str]):\n    return tensors\n"

        @Test func `functions that fit are entry points`() throws {
            let source = Self.entry + "def g(t: List[Tensor], k: List[str], a: List[str]):\n    pass\n"
            #expect(Engine.refusal(source, entryPoints: ["f"]) == nil)
            #expect(Engine.refusal(source, entryPoints: ["f", "g"]) == nil)
            #expect(Engine.refusal(source) == nil)
        }

        @Test func `a function that is not there is named`() {
            #expect(
                Engine.refusal(Self.entry, entryPoints: ["f", "g"]) == "Function g does not exist in the given script.")
            #expect(
                Engine.refusal(Self.entry, entryPoints: [""]) == "Function  does not exist in the given script.")
        }

        @Test(arguments: [
            ("", 0), ("tensors: List[Tensor]", 1), ("tensors: List[Tensor], keys: List[str]", 2),
            ("tensors: List[Tensor], keys: List[str], args: List[str], more: int", 4),
        ])
        func `another number of parameters is told`(parameters: String, count: Int) {
            #expect(
                Engine.refusal("def f(\(parameters)):\n    pass\n", entryPoints: ["f"])
                    == "Wrong number of inputs in function f. Expected 3 but was \(count)")
        }

        @Test(arguments: [
            "a, b, c", "tensors: List[Tensor], keys: List[str], args: str",
            "tensors: Tensor, keys: List[str], args: List[str]",
            "tensors: List[Tensor], keys: List[int], args: List[str]",
            "keys: List[str], tensors: List[Tensor], args: List[str]",
        ])
        func `other parameters are told with those that are wanted`(parameters: String) {
            #expect(
                Engine.refusal("def f(\(parameters)):\n    pass\n", entryPoints: ["f"])
                    == "Wrong inputs type in function f. Expected signature similar to: def "
                    + "f(tensors: List[Tensor], keys: List[str], args: List[str])")
        }

        @Test(arguments: [
            ("def f(x):\nreturn x", "expected"), ("def f(x)\n    return x", "expected"),
            ("def f(x):\n    return y", "undefined value y"),
            ("def f(x):\n    return torch.frobnicate(x)", "frobnicate"),
            ("def f(x):\n    return f(x)", "recursive"), ("x = 1", "expected"),
            ("def f(x):\n    return redis.frobnicate(x)", "frobnicate"),
            ("import os\ndef f(x):\n    return os.getpid()", "expected"),
        ])
        func `what does not compile is refused with the compiler's text`(source: String, part: String) throws {
            let text = try #require(Engine.refusal(source))
            #expect(text.contains(part), "\(text)")
        }

        @Test(arguments: ["", "\n\n", "# nothing\n"])
        func `a script may hold nothing`(source: String) throws {
            let script = try Engine.compile(source)
            #expect(script.failure("f") == "Function does not exist: f")
        }

        @Test(arguments: ["def f(x):\n    return x", "def f(x):\n    return x\n", "def f(x):\r\n    return x\r\n"])
        func `the last line need not end`(source: String) throws {
            #expect(try Engine.compile(source).call("f", [floats(1)]).map(\.floats) == [[1]])
        }

        @Test func `a text that is not UTF-8 is no crash`() throws {
            let definition = ScriptDefinition(
                key: [], backend: PyTorchBackend.description, device: try #require(Device("CPU")), tag: [],
                entryPoints: [], source: Array("def f(x): # ".utf8) + [0xFF, 0xC0, 0x80] + Array("\n    return x".utf8))
            _ = try? Engine.backend().compile(definition)
        }

        @Test func `a GPU is refused`() {
            #expect(throws: InferenceError("GPU requested but Torch couldn't find CUDA")) {
                try Engine.compile(Self.entry, device: "GPU:0")
            }
        }

        @Test func `a program that its calls make large is refused`() {
            var source = "def g0(x):\n    return x + x\n"
            for level in 1...18 { source += "def g\(level)(x):\n    return g\(level - 1)(g\(level - 1)(x))\n" }
            #expect(Engine.refusal(source) == "ERR TorchScript is too large once its calls are inlined")
        }

        @Test func `saving is refused`() {
            #expect(
                Engine.refusal("def f(x):\n    torch.save(x, 'file')\n    return x")
                    == "ERR TorchScript holds the operation aten::save, which is not allowed")
        }

        @Test(arguments: [
            ("torch.from_file('file', False, 4)", "aten::from_file"),
            ("torch._sparse_coo_tensor_unsafe(x, x, [1])", "aten::_sparse_coo_tensor_unsafe"),
            ("torch._sparse_csr_tensor_unsafe(x, x, x, [1])", "aten::_sparse_csr_tensor_unsafe"),
            ("torch._unsafe_index(x, [x])", "aten::_unsafe_index"),
            ("torch._nested_tensor_size(x)", "aten::_nested_tensor_size"),
            ("torch.sparse_coo_tensor(x, x, [1])", "aten::sparse_coo_tensor"),
            ("torch.threshold_backward(x, x, 1)", "aten::threshold_backward"),
            ("x.resize_([1000])", "aten::resize_"),
        ])
        func `operations on files and foreign memory are refused`(expression: String, operation: String) {
            let text = "ERR TorchScript holds the operation \(operation), which is not allowed"
            #expect(Engine.refusal("def f(x):\n    return \(expression)") == text)
            // In a function that nobody calls, and within blocks.
            #expect(
                Engine.refusal(
                    "def g(x):\n    for i in range(3):\n        if i > 1:\n            x = \(expression)\n    return x\n"
                        + "def f(x):\n    return x") == text)
        }
    }
}
