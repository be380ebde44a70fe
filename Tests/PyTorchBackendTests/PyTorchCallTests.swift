import Tensors
import TestSupport
import Testing

@testable import Inference

extension PyTorchTests {
    /// Entry points: tensors, keys and arguments.
    @Suite struct EntryPointTests {
        private func compile(_ body: String) throws -> TestScript {
            try Engine.compile(
                "def f(tensors: List[Tensor], keys: List[str], args: List[str]):\n    \(body)\n", entryPoints: ["f"])
        }

        @Test func `all inputs are in the list of tensors`() throws {
            let script = try compile("return tensors[1], tensors[0] + len(tensors)")
            let outputs = try script.call("f", [floats(1), floats(10, 20)], outputs: 2)
            #expect(outputs.map(\.floats) == [[10, 20], [3]])
        }

        @Test func `there may be no inputs, keys or arguments`() throws {
            let script = try compile("return torch.tensor([len(tensors), len(keys), len(args)])")
            #expect(try script.call().first?.elements(as: Int64.self) == [0, 0, 0])
        }

        @Test func `keys and arguments are texts of any language`() throws {
            let script = try compile(
                "return torch.tensor([len(keys[0]), len(keys[1]), int(args[0] == 'Grüße, 世界'), int(args[1])])")
            let outputs = try script.call(keys: ["k", ""], arguments: ["Grüße, 世界", "42"])
            #expect(outputs.first?.elements(as: Int64.self) == [1, 0, 1, 42])
        }

        @Test func `bytes that are no text pass unharmed`() throws {
            let script = try compile("redis.execute(keys[0], args[0])\n    return torch.zeros([1])")
            let received = Received()
            let server = FakeServer(onExecute: { words, reply in
                received.set(words)
                reply.null()
            })
            let call = ScriptCall(
                function: "f", keys: [Array("SET".utf8)], arguments: [[0xFF, 0x80, 1, 0xC3]], server: server)
            let watch = RunWatch(clock: .system)
            _ = try script.loaded.run(
                call, inputs: [], isEntryPoint: true, outputCount: 1, host: ScriptHost(server: server, watch: watch),
                watch: watch)
            #expect(received.all == [Array("SET".utf8), [0xFF, 0x80, 1, 0xC3]])
        }

        @Test func `a thousand inputs, keys and arguments`() throws {
            let script = try compile(
                """
                total = torch.zeros([1])
                    for i in range(len(tensors)):
                        total += tensors[i] * int(keys[i]) * int(args[i])
                    return total
                """)
            let ones = try (0..<1_000).map { _ in try floats(1) }
            let numbers = Array(repeating: "2", count: 1_000)
            #expect(try script.call("f", ones, keys: numbers, arguments: numbers).first?.floats == [4_000])
        }

        @Test func `a failed assertion is told with its text`() throws {
            let script = try compile("assert len(tensors) > 5, 'no such customer'\n    return tensors")
            #expect(script.failure()?.contains("no such customer") == true)
        }

        @Test func `an index out of range is told`() throws {
            #expect(try compile("return tensors[3]").failure()?.contains("list index out of range") == true)
        }
    }

    /// Functions that are no entry points: parameters are filled from the inputs, by the signature.
    @Suite struct SignatureTests {
        @Test func `a tensor takes one input`() throws {
            let script = try Engine.compile("def f(a, b):\n    return a - b")
            #expect(try script.call("f", [floats(5), floats(3)]).first?.floats == [2])
        }

        @Test func `a list of tensors takes all that are left`() throws {
            let script = try Engine.compile(
                "def f(a, rest: List[Tensor]):\n    return a * len(rest), torch.cat(rest) if len(rest) > 0 else a")
            #expect(
                try script.call("f", [floats(5), floats(3), floats(4)], outputs: 2).map(\.floats) == [[10], [3, 4]])
            #expect(try script.call("f", [floats(5)], outputs: 2).map(\.floats) == [[0], [5]])
        }

        @Test func `inputs that nobody takes are ignored`() throws {
            let script = try Engine.compile("def f(a):\n    return a\ndef g():\n    return torch.ones([1])")
            #expect(try script.call("f", [floats(1), floats(2)]).first?.floats == [1])
            #expect(try script.call("g", [floats(5)]).first?.floats == [1])
        }

        @Test func `too few inputs are told`() throws {
            let script = try Engine.compile(
                "def f(a, b):\n    return a\ndef g(a: List[Tensor], b):\n    return b\n")
            #expect(try script.failure("f", [floats(1)]) == "Wrong number of inputs provided to function: f")
            #expect(script.failure("f") == "Wrong number of inputs provided to function: f")
            #expect(
                try script.failure("g", [floats(1), floats(2)]) == "Wrong number of inputs provided to function: g")
        }

        @Test(arguments: ["int", "str", "List[str]", "Dict[str, Tensor]", "List[int]"])
        func `other parameters cannot be filled`(type: String) throws {
            let script = try Engine.compile("def f(a, b: \(type)):\n    return a")
            #expect(
                try script.failure("f", [floats(1), floats(2)]) == "Unsupported input type in function definition: f")
        }

        @Test func `an entry point that is called as a function does not get keys`() throws {
            let script = try Engine.compile(
                "def f(tensors: List[Tensor], keys: List[str], args: List[str]):\n    return tensors")
            #expect(
                try script.failure("f", [floats(1)], keys: ["k"]) == "Wrong number of inputs provided to function: f")
        }

        @Test func `a function that is not there is told`() throws {
            let script = try Engine.compile("def f(a):\n    return a")
            #expect(script.failure("g") == "Function does not exist: g")
            #expect(script.failure("") == "Function does not exist: ")
        }

        @Test func `functions call each other`() throws {
            let script = try Engine.compile("def g(a):\n    return a * 2\ndef f(a):\n    return g(g(a))")
            #expect(try script.call("f", [floats(3)]).first?.floats == [12])
        }

        @Test(arguments: ["torch", "Torch", "TORCH"])
        func `torch is known in any case`(name: String) throws {
            #expect(try Engine.compile("def f(a):\n    return \(name).neg(a)").call("f", [floats(3)])[0].floats == [-3])
        }
    }

    @Suite struct TensorTests {
        @Test(arguments: DataType.allCases.filter { $0 != .string })
        func `every data type goes in and comes out`(dataType: DataType) throws {
            let script = try Engine.compile("def f(a):\n    return a.clone()")
            let bytes = (0..<6 * dataType.elementSize).map { UInt8($0 % 2) }
            let input = try makeTensor(dataType, [2, 1, 3], bytes: bytes)
            let output = try #require(try script.call("f", [input]).first)
            #expect(output.dataType == dataType)
            #expect(output.shape == [2, 1, 3])
            #expect(output.storedBytes == bytes)
        }

        @Test(arguments: [[], [0], [2, 0, 3], [1], [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2]] as [[Int]])
        func `so does every shape`(dimensions: [Int]) throws {
            let script = try Engine.compile("def f(a):\n    return a + 1, a")
            let input = try Tensor(zeros: .float, Shape(dimensions))
            let outputs = try script.call("f", [input], outputs: 2)
            #expect(outputs.map(\.shape) == [Shape(dimensions), Shape(dimensions)])
            #expect(outputs[0].floats == Array(repeating: 1, count: input.elementCount))
            #expect(outputs[1].floats == Array(repeating: 0, count: input.elementCount))
        }

        @Test func `strings cannot go in`() throws {
            let script = try Engine.compile("def f(a: List[Tensor]):\n    return a")
            #expect(try script.failure("f", [makeTensor(strings: ["a"])]) == "Unsupported code 7")
            #expect(try script.failure("f", [floats(1), makeTensor(strings: ["a"])]) == "Unsupported code 7")
        }

        @Test(arguments: [
            ("a.to(5)", "ERR unsupported dtype"), ("torch.complex(a, a)", "ComplexFloat is not supported by dlpack"),
            ("a.to(15)", "BFloat16 is not supported by dlpack"),
        ])
        func `element types that nobody can name do not come out`(expression: String, text: String) throws {
            let script = try Engine.compile("def f(a):\n    return \(expression)")
            #expect(try script.failure("f", [floats(1)]) == text)
        }

        @Test(arguments: [
            "torch.empty([1000])", "torch.empty_like(torch.ones(1000))", "a.new_empty([1000])",
        ])
        func `tensors without values hold zeros, not what the memory held before`(expression: String) throws {
            let script = try Engine.compile("def f(a):\n    return \(expression)")
            for _ in 0..<3 {
                #expect(try script.call("f", [floats(1)]).first?.floats.allSatisfy { $0 == 0 } == true)
            }
        }

        @Test(arguments: ["[0] * 1000000000000", "1000000000000 * [a]"])
        func `endless lists are refused`(expression: String) throws {
            let script = try Engine.compile("def f(a):\n    return torch.tensor(len(\(expression)))")
            #expect(try script.failure("f", [floats(1)])?.contains("a list of more than 16777216 elements") == true)
        }

        @Test func `views come out in the order of their elements`() throws {
            let script = try Engine.compile("def f(a):\n    return a.t(), a[:, 1], a.flip([0]), a[0].expand([2, 2])")
            let outputs = try script.call("f", [floats(1, 2, 3, 4, shape: [2, 2])], outputs: 4)
            #expect(outputs.map(\.floats) == [[1, 3, 2, 4], [2, 4], [3, 4, 1, 2], [1, 2, 1, 2]])
        }

        @Test(arguments: [
            "a", "[a]", "[a, b][:1]", "(a,)",
        ])
        func `one tensor, a list of one and a tuple of one are one output`(expression: String) throws {
            let script = try Engine.compile("def f(a, b):\n    return \(expression)")
            #expect(try script.call("f", [floats(1), floats(2)]).map(\.floats) == [[1]])
        }

        @Test(arguments: [1, 3])
        func `another number of outputs is an error`(count: Int) throws {
            let script = try Engine.compile("def f(a):\n    return a, a")
            #expect(
                try script.failure("f", [floats(1)], outputs: count)
                    == "Function returned unexpected number of outputs - f")
        }

        @Test(arguments: ["1", "'text'", "None", "[1, 2]", "[a], [a]", "{'a': a}", "(a, 1)"])
        func `what is no tensor is an error, unless nobody wants it`(expression: String) throws {
            let script = try Engine.compile("def f(a):\n    return \(expression)")
            let failure = try script.failure("f", [floats(1)])
            #expect(failure == "Function returned non-tensor valuesf", "\(failure ?? "")")
            #expect(try script.call("f", [floats(1)], outputs: 0).isEmpty)
        }

        @Test func `a function that returns nothing can be called for its effects`() throws {
            let script = try Engine.compile("def f(a):\n    redis.execute('INCR', 'k')")
            let server = FakeServer()
            #expect(try script.call("f", [floats(1)], outputs: 0, server: server).isEmpty)
            #expect(server.commands == [["INCR", "k"]])
        }

        @Test(arguments: [
            "a.add_(1)", "a += 1", "a[0] = 5.0", "a.zero_()", "g(a)", "a.view([2]).mul_(7)", "torch.relu_(a.neg_())",
            "[a][0].fill_(9.0)",
        ])
        func `inputs are not changed by a script that writes to them`(statement: String) throws {
            let script = try Engine.compile(
                "def g(a):\n    a.sub_(1)\n    return a\ndef f(a):\n    \(statement)\n    return a\n"
                    + "def h(a: List[Tensor], k: List[str], s: List[str]):\n    f(a[0])\n    return a[0]",
                entryPoints: ["h"])
            let input = try floats(1, 2)
            for function in ["f", "h"] {
                let output = try #require(try script.call(function, [input]).first)
                #expect(output.floats != [1, 2])
                #expect(input.floats == [1, 2])
            }
        }

        @Test func `an input that is returned is a tensor of its own`() throws {
            let script = try Engine.compile("def f(a):\n    return a")
            let input = try floats(1, 2)
            let output = try #require(try script.call("f", [input]).first)
            #expect(output !== input)
            #expect(output.floats == [1, 2])
        }

        @Test func `one tensor may be several inputs`() throws {
            let script = try Engine.compile("def f(a, b):\n    return a + b")
            let input = try floats(1, 2)
            #expect(try script.call("f", [input, input]).first?.floats == [2, 4])
        }
    }
}
