import Synchronization
import Tensors
import TestSupport
import Testing

@testable import Inference

/// The words of a command, for a test that looks at them later.
final class Received: Sendable {
    private let words = Mutex<[[UInt8]]>([])

    var all: [[UInt8]] { words.withLock { $0 } }

    func set(_ words: [[UInt8]]) {
        self.words.withLock { $0 = words }
    }
}

extension PyTorchTests {
    @Suite struct ExecuteTests {
        /// Calls a function that asks the server and returns `expression` of the answer, as text in an exception.
        private func describe(
            _ expression: String, _ answer: @escaping FakeServer.Execute
        ) throws -> [Int64]? {
            let script = try Engine.compile(
                "def f():\n    answer = redis.execute('GET', 'k')\n    return torch.tensor(\(expression))")
            return try script.call(server: FakeServer(onExecute: answer)).first?.elements(as: Int64.self)
        }

        @Test func `words reach the server in order`() throws {
            let script = try Engine.compile(
                """
                def f(a):
                    redis.execute("PING")
                    redis.execute("SET", "Schlüssel", "")
                    redis.execute("DEL", ["a", "b"])
                    Redis.execute("X", "1", "2", "3", "4")
                    return a
                """)
            let server = FakeServer()
            _ = try script.call("f", [floats(1)], server: server)
            #expect(
                server.commands == [
                    ["PING"], ["SET", "Schlüssel", ""], ["DEL", "a", "b"], ["X", "1", "2", "3", "4"],
                ])
        }

        @Test func `commands are neither left out nor put in another order`() throws {
            let script = try Engine.compile(
                """
                def f(n):
                    for i in range(int(n)):
                        redis.execute("LPUSH", "k", str(i))
                        redis.execute("GET", "k")
                        redis.execute("GET", "k")
                    if str(redis.execute("EXISTS", "k")) == "None":
                        redis.execute("DEL", "k")
                    return n
                """)
            let expected =
                (0..<3).flatMap { [["LPUSH", "k", "\($0)"], ["GET", "k"], ["GET", "k"]] }
                + [["EXISTS", "k"], ["DEL", "k"]]
            // Several runs: the second may be another program, after optimisation.
            for _ in 0..<4 {
                let server = FakeServer()
                _ = try script.call("f", [makeTensor(.int64, [3] as [Int64], [])], server: server)
                #expect(server.commands == expected)
            }
        }

        @Test func `a text is a str`() throws {
            #expect(try describe("[int(isinstance(answer, str)), len(str(answer))]") { $1.text("hello") } == [1, 5])
            #expect(try describe("[int(isinstance(answer, str)), len(str(answer))]") { $1.text("") } == [1, 0])
        }

        @Test func `an integer is an int of 64 bits`() throws {
            #expect(
                try describe("[int(isinstance(answer, int)), int(str(answer)) - 1]") { $1.integer(.max) }
                    == [1, .max - 1])
            #expect(try describe("[int(str(answer))]") { $1.integer(.min + 1) } == [.min + 1])
        }

        @Test func `a number with a fraction is a float`() throws {
            #expect(
                try describe("[int(isinstance(answer, float)), int(float(str(answer)) * 4)]") { $1.double(2.25) }
                    == [1, 9])
        }

        @Test func `null is None`() throws {
            let isNone = "[int(isinstance(answer, str)), int(str(answer) == 'None')]"
            #expect(try describe(isNone) { $1.null() } == [0, 1])
            #expect(try describe(isNone) { $1.text("None") } == [1, 1])
        }

        @Test func `an array is a list`() throws {
            #expect(
                try describe("[len(redis.asList(answer)), len(str(redis.asList(answer)[1]))]") { _, reply in
                    reply.array(3)
                    reply.integer(1)
                    reply.text("four")
                    reply.null()
                } == [3, 4])
            #expect(try describe("[len(redis.asList(answer))]") { $1.array(0) } == [0])
        }

        @Test func `arrays nest`() throws {
            let script = try Engine.compile(
                """
                def f():
                    answer = redis.asList(redis.execute("X"))
                    inner = redis.asList(answer[1])
                    innermost = redis.asList(inner[1])
                    return torch.tensor([
                        len(answer), int(str(answer[0])), len(inner), len(redis.asList(inner[0])), len(innermost),
                        int(str(innermost[1])), int(str(answer[2])), len(redis.asList(answer[3]))])
                """)
            // [10, [[], [20, 30]], 40, []]
            let server = FakeServer(onExecute: { _, reply in
                reply.array(4)
                reply.integer(10)
                reply.array(2)
                reply.array(0)
                reply.array(2)
                reply.integer(20)
                reply.integer(30)
                reply.integer(40)
                reply.array(0)
            })
            #expect(try script.call(server: server).first?.elements(as: Int64.self) == [4, 10, 2, 0, 2, 30, 40, 0])
        }

        @Test func `what is no list is not made one`() throws {
            let script = try Engine.compile(
                "def f():\n    return torch.tensor([len(redis.asList(redis.execute('X')))])")
            #expect(script.failure(server: FakeServer(onExecute: { $1.text("x") }))?.contains("redis.asList") == true)
        }

        @Test func `bytes of an answer go back to the server unharmed`() throws {
            let script = try Engine.compile(
                "def f():\n    redis.execute('SET', 'k', str(redis.execute('GET', 'k')))\n    return torch.zeros([1])")
            let received = Received()
            let server = FakeServer(onExecute: { words, reply in
                received.set(words)
                ([0xFF, 0x41, 0x80] as [UInt8]).withUnsafeBytes { (bytes: UnsafeRawBufferPointer) in reply.text(bytes) }
            })
            _ = try script.call(server: server)
            #expect(received.all.last == [0xFF, 0x41, 0x80])
        }

        @Test func `an error ends the script, with its text`() throws {
            let script = try Engine.compile(
                "def f():\n    redis.execute('A')\n    redis.execute('B')\n    return torch.zeros([1])")
            let server = FakeServer(onExecute: { _, _ throws(InferenceError) in
                throw InferenceError("WRONGTYPE Operation against a key")
            })
            let text = try #require(script.failure(server: server))
            #expect(text.contains("Redis command returned an error: WRONGTYPE Operation against a key"))
            #expect(server.commands == [["A"]])
        }

        @Test func `a long answer is whole`() throws {
            let count = 20_000
            let script = try Engine.compile(
                """
                def f():
                    total = 0
                    for element in redis.asList(redis.execute("X")):
                        total += int(str(element))
                    return torch.tensor([total])
                """)
            let server = FakeServer(onExecute: { _, reply in
                reply.array(count)
                for number in 0..<count { reply.text("\(number)") }
            })
            let expected = Int64(count * (count - 1) / 2)
            #expect(try script.call(server: server).first?.elements(as: Int64.self) == [expected])
        }

        @Test func `waiting for the server does not count as running`() throws {
            let script = try Engine.compile("def f():\n    redis.execute('X')\n    return torch.zeros([1])")
            let clock = ManualClock()
            let watch = RunWatch(clock: clock.monotonic)
            let server = FakeServer(onExecute: { _, reply in
                clock.advance(milliseconds: 1_000)
                watch.interrupt(olderThan: 0)
                #expect(watch.isWaiting)
                reply.null()
            })
            #expect(try script.call(server: server, watch: watch).count == 1)
        }
    }

    @Suite struct ModelExecuteTests {
        private static let source = """
            def f(a: List[Tensor]):
                return redisAI.model_execute("m", a, 2)
            """

        /// Calls the script with a model made of `run`, which has two inputs and two outputs.
        private func withModel(
            script source: String = source, _ inputs: [Tensor], outputs: Int = 2,
            _ run: @escaping @Sendable ([Tensor]) throws(InferenceError) -> [Tensor?]
        ) throws -> Result<[Tensor], any Error> {
            let queue = try #require(DeviceQueue(name: "CPU", threads: 1, limits: .init(), clock: .system))
            defer { #expect(queue.stop(withinSeconds: Gate.patience)) }
            let server = try FakeServer.holding(PairModel(onRun: run), queue)
            let script = try Engine.compile(source)
            return Result { try script.call("f", inputs, outputs: outputs, server: server) }
        }

        private func text(_ result: Result<[Tensor], any Error>) throws -> String {
            try #require(throws: InferenceError.self) { try result.get() }.message
        }

        @Test func `a model's outputs come back`() throws {
            let outputs = try withModel([floats(1, 2), makeTensor(.int64, [3] as [Int64], [])]) { inputs in
                #expect(inputs.map(\.dataType) == [.float, .int64])
                #expect(inputs.map(\.shape) == [[2], []])
                return [inputs[1], inputs[0]]
            }.get()
            #expect(outputs.map(\.shape) == [[], [2]])
            #expect(outputs[0].elements(as: Int64.self) == [3])
            #expect(outputs[1].floats == [1, 2])
        }

        @Test func `what a script made of views goes in contiguous`() throws {
            let source = "def f(a):\n    return redisAI.model_execute('m', [a.t(), a[:, 0]], 2)"
            let outputs = try withModel(script: source, [floats(1, 2, 3, 4, shape: [2, 2])]) { $0 }.get()
            #expect(outputs.map(\.floats) == [[1, 3, 2, 4], [1, 3]])
        }

        @Test func `what a script does to the outputs does not reach the model's`() throws {
            let kept = try floats(1, 2)
            let source =
                "def f(a):\n    outs = redisAI.model_execute('m', [a, a], 2)\n    return outs[0].add_(1), outs[1]"
            let outputs = try withModel(script: source, [floats(0)]) { _ in [kept, kept] }.get()
            #expect(outputs.map(\.floats) == [[2, 3], [1, 2]])
            #expect(kept.floats == [1, 2])
        }

        @Test func `what a model fails with ends the script`() throws {
            let result = try withModel([floats(1), floats(2)]) { _ throws(InferenceError) in
                throw InferenceError("no such operator")
            }
            #expect(try text(result).contains("no such operator"))
        }

        @Test func `wrong numbers of inputs are told`() throws {
            #expect(try text(withModel([floats(1)]) { $0 }).contains("ERR Expected 2 inputs but got 1"))
            let source = "def f(a):\n    return redisAI.model_execute('m', [a, a], 3)"
            #expect(
                try text(withModel(script: source, [floats(1)]) { $0 }).contains("ERR Expected 2 outputs but got 3"))
        }

        @Test func `a model that is not there is told`() throws {
            let source = "def f(a):\n    return redisAI.model_execute('Modèle', [a, a], 2)"
            #expect(try text(withModel(script: source, [floats(1)]) { $0 }).contains("ERR no model at Modèle"))
        }

        @Test func `a negative number of outputs is an error`() throws {
            let source = "def f(a):\n    return redisAI.model_execute('m', [a, a], -1)"
            #expect(try text(withModel(script: source, [floats(1)]) { $0 }).contains("negative"))
        }

        @Test func `strings do not come back`() throws {
            let result = try withModel([floats(1), floats(2)]) { inputs in
                [inputs[0], try? makeTensor(strings: ["a"])]
            }
            #expect(try text(result).contains("Unsupported code 7"))
        }

        @Test func `outputs beyond the memory limit are an error`() throws {
            // Of the limit, what the script has taken leaves too little for one of the outputs.
            let source = """
                def f(a):
                    most = a.repeat([\((Engine.memoryLimit - 2_000_000) / 4)])
                    return redisAI.model_execute("m", [a, a], 2)[0] + most[0]
                """
            let before = try Engine.memoryInUse()
            weak var output: Tensor?
            do {
                let large = try Tensor(zeros: .uint8, [4 * 1024 * 1024])
                output = large
                let result = try withModel(script: source, [floats(1)], outputs: 1) { inputs in [inputs[0], large] }
                #expect(try text(result).contains("PyTorch memory limit exceeded"))
            }
            // Nothing that the host held was left behind.
            #expect(output == nil)
            #expect(try Engine.memoryInUse() == before)
        }
    }
}

/// A loaded model of two inputs and two outputs.
private final class PairModel: LoadedModel {
    let inputNames = ["a", "b"]
    let outputNames = ["c", "d"]
    let memoryUsage = 0
    private let onRun: @Sendable ([Tensor]) throws(InferenceError) -> [Tensor?]

    init(onRun: @escaping @Sendable ([Tensor]) throws(InferenceError) -> [Tensor?]) {
        self.onRun = onRun
    }

    func run(_ inputs: [Tensor], watch: RunWatch) throws(InferenceError) -> [Tensor?] {
        try onRun(inputs)
    }

    func warmUp(watch: RunWatch) {}
}
