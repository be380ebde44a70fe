import Foundation
import Glibc
import Synchronization
import Tensors
import TestSupport
import Testing

@testable import Inference

extension PyTorchTests {
    @Suite struct InterruptTests {
        private static let text = "the run took longer than MODEL_EXECUTION_TIMEOUT and was interrupted"

        /// Runs `body` in another thread, interrupts it until it has ended, and returns the text with which it failed.
        private func interrupted(_ body: @escaping @Sendable (RunWatch) throws -> Void) throws -> String {
            let watch = RunWatch(clock: .system)
            let run = ThreadResult<Void>(name: "endless") { try body(watch) }
            let deadline = ContinuousClock.now + .seconds(Gate.patience)
            // The run may not have announced itself yet.
            while !run.hasEnded, ContinuousClock.now < deadline {
                watch.interrupt(olderThan: 0)
                usleep(200)
            }
            return try #require(throws: InferenceError.self) { try run.wait() }.message
        }

        @Test(arguments: [
            "while True:\n        n += 1",
            "for i in range(9223372036854775807):\n        n += 1",
            "while True:\n        pass",
            "while True:\n        for i in range(3):\n            n += i",
            "while True:\n        if n > 5:\n            n = 0\n        else:\n            n += 1",
            "for i in range(3):\n        while True:\n            if i == 0:\n                break\n            n += 1",
            "n = spin(n)",
            "for i in range(2):\n        n = deep(n)",
            "while True:\n        a = a + 1",
            "while True:\n        a.add_(1)",
        ])
        func `a loop that would take for ever ends`(statement: String) throws {
            let script = try Engine.compile(
                """
                def spin(n: int):
                    while True:
                        n += 1
                    return n
                def deep(n: int):
                    return spin(n) + 1
                def f(a):
                    n = int(a)
                    \(statement)
                    return a + n
                def g(a):
                    return a + 1

                """)
            let text = try interrupted { watch in _ = try script.call("f", [floats(0)], watch: watch) }
            #expect(text.contains(Self.text), "\(text)")
            // The script goes on.
            #expect(try script.call("g", [floats(1)]).first?.floats == [2])
        }

        @Test func `a list that would grow for ever ends`() throws {
            let script = try Engine.compile(
                "def f(a):\n    n = [i * 2 for i in range(1000000000000)]\n    return a + len(n)")
            // Not for long: the list takes memory.
            let text = try interrupted { watch in _ = try script.call("f", [floats(0)], watch: watch) }
            #expect(text.contains(Self.text), "\(text)")
        }

        @Test func `a loop of commands ends`() throws {
            let script = try Engine.compile("def f(a):\n    while True:\n        redis.execute('PING')\n    return a")
            let server = FakeServer()
            let text = try interrupted { watch in
                _ = try script.call("f", [floats(0)], server: FakeServer(), watch: watch)
            }
            #expect(text.contains(Self.text), "\(text)")
            #expect(server.commands == [])
        }

        @Test func `no command follows the interrupt`() throws {
            let script = try Engine.compile("def f(a):\n    redis.execute('A')\n    redis.execute('B')\n    return a")
            let clock = ManualClock()
            let watch = RunWatch(clock: clock.monotonic)
            // The stop of the server interrupts who waits for it as well.
            let server = FakeServer(onExecute: { _, reply in
                watch.close()
                reply.null()
            })
            let text = #expect(throws: InferenceError.self) {
                try script.call("f", [floats(0)], server: server, watch: watch)
            }?.message
            #expect(text?.contains(Self.text) == true)
            #expect(server.commands == [["A"]])
        }

        @Test func `an endless module within a script ends`() throws {
            let module = try Engine.load(
                TorchArchive.module(
                    """
                      def forward(self: __torch__.M, x: Tensor) -> Tensor:
                        n = torch.tensor(0)
                        _0 = True
                        while _0:
                          n = torch.add(n, 1)
                        return n
                    """))
            let text = try interrupted { watch in _ = try module.run([floats(0)], watch: watch) }
            #expect(text.contains(Self.text), "\(text)")
            let queue = try #require(DeviceQueue(name: "CPU", threads: 1, limits: .init(), clock: .system))
            defer { #expect(queue.stop(withinSeconds: Gate.patience)) }
            let server = try FakeServer.holding(module, queue)
            let script = try Engine.compile("def f(a):\n    return redisAI.model_execute('m', [a], 1)")
            let nested = try interrupted { watch in _ = try script.call("f", [floats(0)], server: server, watch: watch)
            }
            #expect(nested.contains(Self.text), "\(nested)")
        }

        @Test func `an interrupt between runs reaches none`() throws {
            let script = try Engine.compile(
                "def f(a):\n    for i in range(3):\n        a = a + 1\n    return a")
            let watch = RunWatch(clock: .system)
            for _ in 0..<3 {
                #expect(try script.call("f", [floats(1)], watch: watch).first?.floats == [4])
                watch.interrupt(olderThan: -1)
            }
        }

        @Test func `an interrupt that comes all the time hits no run after its own`() throws {
            let script = try Engine.compile("def f(a):\n    for i in range(50):\n        a = a + 1\n    return a")
            let watch = RunWatch(clock: .system)
            let isOver = Gate("the interrupter may end")
            let interrupter = ThreadResult<Void>(name: "interrupter") {
                while !isOver.isOpen { watch.interrupt(olderThan: -1) }
            }
            defer { _ = try? interrupter.wait() }
            defer { isOver.open() }
            for _ in 0..<300 {
                do {
                    #expect(try script.call("f", [floats(1)], watch: watch).first?.floats == [51])
                } catch {
                    #expect((error as? InferenceError)?.message.contains(Self.text) == true)
                }
                // Another watch: nobody interrupts this one, though it takes the handle of the run before.
                #expect(try script.call("f", [floats(1)]).first?.floats == [51])
            }
        }
    }

    @Suite struct ConcurrencyTests {
        @Test func `runs in four threads agree`() throws {
            let script = try Engine.compile(
                """
                def g(a, n: int):
                    for i in range(n):
                        a = torch.tanh(torch.mm(a, a)) + 1
                    return a
                def f(tensors: List[Tensor], keys: List[str], args: List[str]):
                    return g(tensors[0].add_(1), int(args[0])), torch.tensor([int(str(redis.execute("GET", keys[0])))])
                """, entryPoints: ["f"])
            let inputs = try (0..<4).map { number in
                try makeTensor(.float, (0..<64).map { Float($0 * (number + 1)) / 100 }, [8, 8])
            }
            // A thread's own number comes back from the server: what one thread runs must not reach another's host.
            @Sendable func call(_ number: Int) throws -> [[UInt8]] {
                let server = FakeServer(onExecute: { words, reply in
                    #expect(words[1] == Array("k\(number)".utf8))
                    reply.integer(Int64(number))
                })
                return try script.call(
                    "f", [inputs[number]], keys: ["k\(number)"], arguments: ["5"], outputs: 2, server: server
                ).map(\.storedBytes)
            }
            let expected = try (0..<4).map { try call($0) }
            let threads = (0..<4).map { number in
                ThreadResult<Bool>(name: "caller \(number)") {
                    try (0..<100).allSatisfy { _ in try call(number) == expected[number] }
                }
            }
            for thread in threads { #expect(try thread.wait()) }
            #expect(expected[0] != expected[1])
        }

        @Test func `a script may go while another is compiled`() throws {
            let threads = (0..<3).map { number in
                ThreadResult<Bool>(name: "compiler \(number)") {
                    try (0..<15).allSatisfy { round in
                        let script = try Engine.compile("def f(a):\n    return a + \(number * 100 + round)")
                        return try script.call("f", [floats(0)]).first?.floats == [Float(number * 100 + round)]
                    }
                }
            }
            for thread in threads { #expect(try thread.wait()) }
        }
    }

    @Suite struct MemoryTests {
        @Test func `runs and scripts leave nothing behind`() throws {
            let before = try Engine.memoryInUse()
            var script: TestScript? = try Engine.compile(
                """
                def f(a, b):
                    c = a + b
                    d = torch.mm(c, c)
                    e: List[Tensor] = []
                    for i in range(3):
                        e.append(d * i)
                    return torch.stack(e), a
                """)
            let (a, b) = (try Tensor(zeros: .float, [20, 20]), try Tensor(zeros: .float, [20, 20]))
            // What the first runs optimise may keep constants.
            for _ in 0..<5 { _ = try script?.call("f", [a, b], outputs: 2) }
            let base = try Engine.memoryInUse()
            for _ in 0..<200 { _ = try script?.call("f", [a, b], outputs: 2) }
            #expect(try Engine.memoryInUse() == base)
            #expect(base - before < 4_096)
            script = nil
            #expect(try Engine.memoryInUse() == before)
        }

        @Test func `failed runs leave nothing behind`() throws {
            let script = try Engine.compile(
                "def f(a):\n    b = a + torch.ones([1000])\n    assert False, 'no'\n    return b\n"
                    + "def g(a):\n    return torch.mm(a + 1, a)\ndef h(a):\n    return a + 1, a + 2\n")
            let before = try Engine.memoryInUse()
            for _ in 0..<20 {
                for function in ["f", "g", "h", "missing"] { #expect(try script.failure(function, [floats(1)]) != nil) }
            }
            #expect(try Engine.memoryInUse() == before)
        }

        @Test(arguments: ["torch.zeros([70000000])", "torch.ones([10000, 10000])", "a.expand([70000000]).clone()"])
        func `a run beyond the limit fails, and the next one does not`(expression: String) throws {
            let script = try Engine.compile("def f(a):\n    return \(expression)\ndef g(a):\n    return a + 1")
            let before = try Engine.memoryInUse()
            let text = try #require(try script.failure("f", [floats(1)]))
            #expect(text.contains("PyTorch memory limit exceeded, memory allocation failed."))
            #expect(try Engine.memoryInUse() == before)
            #expect(try script.call("g", [floats(1)]).first?.floats == [2])
        }

        @Test func `a loop that collects tensors ends at the limit`() throws {
            let script = try Engine.compile(
                "def f(a):\n    b: List[Tensor] = []\n    for i in range(100):\n        b.append(a + torch.zeros([1000000]))\n    return torch.tensor([len(b)])"
            )
            let texts = try (0..<3).map { _ in
                let text = try script.failure("f", [floats(1)])
                // The zeros are a constant, which the script keeps.
                #expect(try Engine.memoryInUse() < 10_000_000)
                return text
            }
            #expect(texts.allSatisfy { $0?.contains("PyTorch memory limit exceeded") == true }, "\(texts)")
        }

        @Test func `sizes that overflow are an error`() throws {
            let script = try Engine.compile("def f(a):\n    return torch.zeros([4611686018427387904, 4])")
            #expect(try script.failure("f", [floats(1)]) != nil)
        }

        @Test func `an output beyond the limit of tensors is an error`() throws {
            // No elements in memory, but many to be copied.
            let script = try Engine.compile("def f(a):\n    return a.expand([200000000])")
            #expect(try script.failure("f", [floats(1)]) != nil)
        }
    }

    /// Inputs are kept alive while they are used, and not a moment longer.
    @Suite struct OwnershipTests {
        private func compile() throws -> TestScript {
            try Engine.compile(
                """
                def good(a):
                    return a
                def raises(a):
                    assert False, "no"
                    return a
                def two(a):
                    return a, a
                def writes(a):
                    return a.add_(1)
                def text(a):
                    return "text"
                def half(a):
                    return a.half()
                def large(a):
                    return a + torch.zeros([70000000])
                def number(a, n: int):
                    return a
                def three(a, b, c):
                    return a
                def calls(a):
                    redis.execute("X")
                    return a
                def runs(a):
                    return redisAI.model_execute("m", [a], 1)
                def asks(a):
                    while True:
                        pass
                    return a
                def views(a: List[Tensor]):
                    b = [a[0][:1], a[0].view([-1])]
                    return b[1]
                """)
        }

        /// Calls a function with a tensor, and tells whether anybody still holds the tensor afterwards.
        private func isKept(_ function: String, by script: TestScript, also other: Tensor? = nil) throws -> Bool {
            weak var input: Tensor?
            var failed = true
            do {
                let tensor = try floats(1, 2)
                input = tensor
                let server = FakeServer(onExecute: { _, _ throws(InferenceError) in throw InferenceError("no") })
                let watch = RunWatch(clock: .system)
                if function == "asks" { watch.close() }
                _ = try? {
                    _ = try script.call(function, [tensor] + (other.map { [$0] } ?? []), server: server, watch: watch)
                    failed = false
                }()
            }
            #expect(failed == !["good", "writes", "views"].contains(function) || other != nil)
            return input != nil
        }

        @Test(arguments: [
            "good", "views", "writes", "raises", "two", "text", "half", "large", "number", "three", "missing", "calls",
            "runs", "asks",
        ])
        func `inputs are let go of, however the run ends`(function: String) throws {
            let script = try compile()
            for _ in 0..<3 { #expect(try isKept(function, by: script) == false) }
        }

        @Test func `inputs are let go of when another is refused`() throws {
            let script = try compile()
            #expect(try isKept("views", by: script, also: makeTensor(strings: ["a"])) == false)
        }

        @Test func `an input given twice is let go of twice`() throws {
            let script = try compile()
            weak var input: Tensor?
            do {
                let tensor = try floats(1)
                input = tensor
                _ = try script.call("views", [tensor, tensor, tensor])
                #expect(script.failure("raises", [tensor, tensor]) != nil)
                // Let go of once too often, it would be gone.
                #expect(tensor.floats == [1])
            }
            #expect(input == nil)
        }

        @Test func `outputs outlive their script`() throws {
            var script: TestScript? = try compile()
            let output = try #require(try script?.call("writes", [floats(1, 2)]).first)
            script = nil
            #expect(output.floats == [2, 3])
        }
    }

    @Suite struct ThreadTests {
        /// Threads of this process that have `name`; threads inherit the name of the one that makes them.
        private static func count(named name: String) throws -> Int {
            try FileManager.default.contentsOfDirectory(atPath: "/proc/self/task").count { task in
                let file = "/proc/self/task/\(task)/comm"
                return (try? String(contentsOfFile: file, encoding: .utf8)) == name + "\n"
            }
        }

        @Test func `the number of threads does not grow with the number of scripts`() throws {
            let name = "ai-many-scripts"
            let counts = WorkerThread.value(name: name) {
                Result {
                    try (0..<30).map { number in
                        // Large enough for libtorch to share it among threads.
                        let script = try Engine.compile(
                            "def f(a):\n    return torch.mm(a + \(number), a) + torch.exp(a)")
                        _ = try script.call("f", [Tensor(zeros: .float, [400, 400])])
                        return try Self.count(named: name)
                    }
                }
            }
            let found = try #require(try counts?.get())
            #expect(found.first ?? 0 >= 1)
            #expect(found.last == found.first, "\(found)")
        }

        @Test func `compiling makes no helpers`() throws {
            let name = "ai-compiler"
            let count = WorkerThread.value(name: name) {
                Result {
                    for number in 0..<5 { _ = try Engine.compile("def f(a):\n    return a + \(number)") }
                    return try Self.count(named: name)
                }
            }
            #expect(try count?.get() == 1)
        }
    }
}

extension FakeServer {
    /// A server that has one model, whatever the key.
    static func holding(_ loaded: any LoadedModel, _ queue: DeviceQueue) throws -> FakeServer {
        let definition = ModelDefinition(
            key: [], backend: BackendDescription(name: "X", id: 9, defaultPath: "", names: .fromModel, open: nil),
            device: try #require(Device("CPU")), tag: [], batching: .init(), inputNames: [], outputNames: [],
            blob: ModelBlob([]))
        let model = Model(definition, retire: { _ in })
        _ = model.readiness.finish(.success((loaded, queue)))
        return FakeServer(models: { key throws(InferenceError) in
            guard key == "m" else { throw InferenceError("ERR no model at \(key)") }
            return model
        })
    }
}
