import Synchronization
import Tensors
import TestSupport
import Testing

@testable import Inference

@Suite struct RequestPlanTests {
    @Test func `slots are numbered in the order in which they come`() throws {
        let tensor = try Tensor(zeros: .float, [1])
        let model = Model(try .fake(), retire: { _ in })
        var plan = RequestPlan()
        #expect(plan.add(tensor) == 0)
        #expect(plan.add(.model(model), inputs: [0, 0], outputCount: 2) == 1..<3)
        #expect(plan.add(tensor) == 3)
        #expect(plan.add(.model(model), inputs: [2], outputCount: 0) == 4..<4)
        #expect(plan.add(.model(model), inputs: [2], outputCount: 1) == 4..<5)
        #expect(plan.tensors.map { $0 === tensor } == [true, false, false, true, false])
        #expect(plan.steps.map { Array(plan.inputSlots[$0.inputs]) } == [[0, 0], [2], [2]])
        #expect(!plan.hasSideEffects)
    }

    @Test func `a plan can be made in the memory of another`() throws {
        let model = Model(try .fake(), retire: { _ in })
        let tensor = try makeTensor(.float, [Float(1)])
        var plan = RequestPlan(.model(model), inputs: [tensor], outputCount: 1)
        plan.reset()
        #expect(plan.tensors.isEmpty && plan.steps.isEmpty && plan.inputSlots.isEmpty)
        #expect(plan.add(tensor) == 0)
        #expect(plan.add(.model(model), inputs: [0], outputCount: 1) == 1..<2)
        var memory: [Tensor?] = []
        memory.reserveCapacity(1_000)
        plan.reset()
        plan.adopt(&memory)
        #expect(plan.tensors.isEmpty && plan.tensors.capacity >= 1_000)
    }

    @Test func `scripts have side effects`() throws {
        let script = Script(try .fake(), retire: { _ in })
        let call = ScriptCall(function: "f", keys: [], arguments: [], server: FakeServer())
        #expect(RequestPlan(.script(script, call), inputs: [], outputCount: 0).hasSideEffects)
    }
}

@Suite struct RequestExecutionTests {
    @Test func `steps take what earlier ones made, and nothing is overwritten`() throws {
        try withCalculator { calculator in
            var plan = RequestPlan()
            let input = plan.add(try makeTensor(.int64, [1, 2]))
            let split = try plan.add(calculator("split"), inputs: [input], outputCount: 2)
            let sum = try plan.add(calculator("add"), inputs: Array(split), outputCount: 1)
            _ = try plan.add(calculator("add"), inputs: [sum.lowerBound, input], outputCount: 1)
            let end = try calculator.carryOut(plan)
            #expect(end.outcomes == ["OK", "OK", "OK"])
            #expect(end.values == [[1, 2], [2, 3], [2, 4], [4, 7], [5, 9]])
        }
    }

    @Test func `a plan without steps has ended at once`() throws {
        try withCalculator { calculator in
            var plan = RequestPlan()
            _ = plan.add(try makeTensor(.int64, [7]))
            let request = calculator.fixture.inbox.request(plan)
            calculator.fixture.engine.submit(request)
            #expect(calculator.fixture.inbox.ended == [.outputs([])])
            try #expect(calculator.fixture.inbox.outcome(of: request).tensors.count == 1)
        }
    }

    @Test func `what has no tensor form cannot be taken`() throws {
        try withCalculator { calculator in
            var plan = RequestPlan()
            let input = plan.add(try makeTensor(.int64, [1]))
            let none = try plan.add(calculator("none"), inputs: [input], outputCount: 1)
            let add = try calculator.model("add")
            _ = plan.add(.model(add), inputs: [input, none.lowerBound], outputCount: 1)
            _ = try plan.add(calculator("split"), inputs: [input], outputCount: 2)
            let end = try calculator.carryOut(plan)
            #expect(end.outcomes == ["OK", "ERR INPUT key cannot be found in DAG", "NA"])
            #expect(end.error == .inputHasNoTensor)
            #expect(end.values == [[1], nil, nil, nil, nil])
            // It did not run, so it counts nothing.
            #expect(add.statistics.snapshot == .init(duration: 0, samples: 0, calls: 0, errors: 0))
        }
    }

    @Test func `after a failure nothing more is begun`() throws {
        try withCalculator { calculator in
            var plan = RequestPlan()
            let input = plan.add(try makeTensor(.int64, [0]))
            let sum = try plan.add(calculator("add"), inputs: [input, input], outputCount: 1)
            _ = try plan.add(calculator("check"), inputs: [sum.lowerBound], outputCount: 1)
            _ = try plan.add(calculator("split", device: "CPU:1"), inputs: [sum.lowerBound + 1], outputCount: 2)
            _ = try plan.add(calculator("split"), inputs: [input], outputCount: 2)
            #expect(try calculator.carryOut(plan).outcomes == ["OK", "there is a zero", "NA", "NA"])
        }
    }

    @Test func `the first error is the plan's first, whichever came first`() throws {
        let (held, other) = (HeldRuns(), InferenceError("the other"))
        let setup = EngineSetup { definition in
            guard definition.device.queueName == "CPU" else {
                return FakeModel { _, _ throws(InferenceError) in
                    held.hasBegun.pass()
                    throw other
                }
            }
            return FakeModel { _, _ throws(InferenceError) in
                held.hasBegun.open()
                held.mayEnd.pass()
                throw InferenceError("the first")
            }
        }
        try setup.withEngine { fixture in
            defer { held.mayEnd.open() }
            let (first, second) = (try fixture.load("a"), try fixture.load("b", device: "CPU:1"))
            var plan = RequestPlan(.model(first), inputs: [try makeTensor(.float, [Float(1)])], outputCount: 1)
            _ = plan.add(.model(second), inputs: [0], outputCount: 1)
            let request = fixture.inbox.request(plan)
            fixture.engine.submit(request)
            try held.hasBegun.wait()
            // A run after the one that fails: when it has come back, that one has been told.
            try fixture.submit(1, to: second)
            try #expect(fixture.inbox.wait(for: 1) == [.failed(other)])
            held.mayEnd.open()
            try #expect(fixture.inbox.wait(for: 1).last == .failed(InferenceError("the first")))
            try #expect(fixture.inbox.outcome(of: request).steps.map(\.text) == ["the first", "the other"])
        }
    }

    @Test func `devices work side by side for one request, and what runs when another fails ends well`() throws {
        let runs = [HeldRuns(), HeldRuns()]
        let setup = EngineSetup { definition in
            switch definition.key {
            case Array("a".utf8): return runs[0].model()
            case Array("b".utf8): return runs[1].model()
            default: return FakeModel { _, _ throws(InferenceError) in throw InferenceError("failed") }
            }
        }
        try setup.withEngine { fixture in
            defer { for run in runs { run.mayEnd.open() } }
            let input = try makeTensor(.float, [Float(1)])
            var plan = RequestPlan(.model(try fixture.load("a")), inputs: [input], outputCount: 1)
            _ = plan.add(.model(try fixture.load("b", device: "GPU")), inputs: [0], outputCount: 1)
            _ = plan.add(.model(try fixture.load("c")), inputs: [0], outputCount: 1)
            _ = plan.add(.model(try fixture.load("d", device: "GPU")), inputs: [0], outputCount: 1)
            let request = fixture.inbox.request(plan)
            fixture.engine.submit(request)
            for run in runs { try run.hasBegun.wait() }
            runs[0].mayEnd.open()
            // Behind the step that fails.
            try fixture.submit(2, to: fixture.load("e"))
            try #expect(fixture.inbox.wait(for: 1) == [.failed(InferenceError("failed"))])
            runs[1].mayEnd.open()
            try fixture.inbox.wait(for: 1)
            try #expect(fixture.inbox.outcome(of: request).steps.map(\.text) == ["OK", "OK", "failed", "NA"])
        }
    }

    @Test func `every run of a step counts`() throws {
        try withCalculator { calculator in
            let (add, check) = (try calculator.model("add"), try calculator.model("check"))
            var plan = RequestPlan()
            let input = plan.add(try makeTensor(.int64, [0, 0, 0]))
            for _ in 0..<2 { _ = plan.add(.model(add), inputs: [input, input], outputCount: 1) }
            for _ in 0..<2 { _ = plan.add(.model(check), inputs: [input], outputCount: 1) }
            _ = try calculator.carryOut(plan)
            #expect(add.statistics.snapshot.calls == 2 && add.statistics.snapshot.samples == 6)
            #expect(check.statistics.snapshot == .init(duration: 0, samples: 0, calls: 1, errors: 1))
        }
    }

    @Test func `a step waits for its model to be loaded, and fails with it`() throws {
        let mayLoad = Gate("models may load")
        let setup = EngineSetup { definition throws(InferenceError) in
            guard definition.key == Array("slow".utf8) else { return FakeModel() }
            mayLoad.pass()
            throw InferenceError("cannot be parsed")
        }
        try setup.withEngine { fixture in
            defer { mayLoad.open() }
            let (quick, slow) = (try fixture.load("quick"), try fixture.store("slow"))
            var plan = RequestPlan(.model(quick), inputs: [try makeTensor(.float, [Float(1)])], outputCount: 1)
            for model in [quick, slow, quick] { _ = plan.add(.model(model), inputs: [1], outputCount: 1) }
            let request = fixture.inbox.request(plan)
            fixture.engine.submit(request)
            mayLoad.open()
            try fixture.inbox.wait(for: 1)
            try #expect(
                fixture.inbox.outcome(of: request).steps.map(\.text) == [
                    "OK", "OK", "ERR model is broken: cannot be parsed", "NA",
                ])
        }
    }

    @Test func `a step that one of two queues refuses ends the request`() throws {
        let held = HeldRuns()
        var setup = EngineSetup { $0.key == Array("held".utf8) ? held.model() : FakeModel() }
        setup.configuration.queueLimit = 1
        try setup.withEngine { fixture in
            defer { held.mayEnd.open() }
            let (busy, free) = (try fixture.load("held", device: "GPU"), try fixture.load("free"))
            let waiting = try fixture.load("waiting", device: "GPU")
            try fixture.submit(1, to: busy)
            try held.hasBegun.wait()
            try fixture.submit(2, to: waiting)
            var plan = RequestPlan(.model(free), inputs: [try makeTensor(.float, [Float(1)])], outputCount: 1)
            _ = plan.add(.model(waiting), inputs: [0], outputCount: 1)
            fixture.engine.submit(fixture.inbox.request(plan))
            try #expect(fixture.inbox.wait(for: 1) == [.failed(.queueIsFull("GPU", requestLimit: 1))])
            held.mayEnd.open()
            try #expect(fixture.inbox.wait(for: 2).dropFirst() == [.echo(1), .echo(2)])
        }
    }
}

// MARK: The end

@Suite struct RequestEndTests {
    /// A request whose first step has run, and whose second waits in another queue behind a run that is held.
    private func withHalf(
        timeout: Int? = nil, _ body: (EngineFixture, InferenceRequest, HeldRuns) throws -> Void
    ) throws {
        let held = HeldRuns()
        let setup = EngineSetup { $0.key == Array("held".utf8) ? held.model() : FakeModel() }
        try setup.withEngine { fixture in
            defer { held.mayEnd.open() }
            let (first, second) = (try fixture.load("first"), try fixture.load("second", device: "GPU"))
            try fixture.submit(0, to: fixture.load("held", device: "GPU"))
            try held.hasBegun.wait()
            var plan = RequestPlan(.model(first), inputs: [try makeTensor(.float, [Float(1)])], outputCount: 1)
            _ = plan.add(.model(second), inputs: [1], outputCount: 1)
            let request = fixture.inbox.request(plan, timeout: timeout)
            fixture.engine.submit(request)
            // Behind the first step.
            try fixture.submit(2, to: first)
            try #expect(fixture.inbox.wait(for: 1) == [.echo(2)])
            try body(fixture, request, held)
            #expect(second.statistics.snapshot.calls == 0)
        }
    }

    @Test func `the time of all steps is one`() throws {
        try withHalf(timeout: 5) { fixture, request, held in
            fixture.clock.advance(milliseconds: 5)
            fixture.engine.endOverdueRuns()
            #expect(fixture.inbox.ended.count == 1)
            fixture.clock.advance(milliseconds: 1)
            fixture.engine.endOverdueRuns()
            #expect(fixture.inbox.ended.last == .timedOut)
            try #expect(fixture.inbox.outcome(of: request).steps.map(\.text) == ["OK", "NA"])
            #expect(fixture.engine.queueStatus.map(\.counters.timedOut) == [0, 1])
            held.mayEnd.open()
            try #expect(fixture.inbox.wait(for: 2) == [.echo(2), .timedOut, .echo(0)])
        }
    }

    @Test func `a request that is cancelled between its steps goes no further`() throws {
        try withHalf { fixture, request, held in
            request.cancel()
            fixture.engine.endOverdueRuns()
            #expect(fixture.inbox.ended.last == .cancelled)
            #expect(fixture.engine.queueStatus.map(\.counters.cancelled) == [0, 1])
            held.mayEnd.open()
            try #expect(fixture.inbox.wait(for: 2) == [.echo(2), .cancelled, .echo(0)])
        }
    }

    @Test(arguments: [false, true])
    func `a step that waits for others' steps does not outlive its request`(isCancelled: Bool) throws {
        let setup = EngineSetup { definition in
            guard definition.key == Array("bad".utf8) else { return FakeModel() }
            return FakeModel { _, _ throws(InferenceError) in throw InferenceError("failed") }
        }
        try setup.withEngine { fixture in
            let bad = try fixture.load("bad", device: "GPU")
            let waiting = try fixture.load("waiting", batching: .init(size: 8, minimum: 2))
            var plan = RequestPlan(.model(waiting), inputs: [try makeTensor(.float, [Float(1)])], outputCount: 1)
            if !isCancelled { _ = plan.add(.model(bad), inputs: [0], outputCount: 1) }
            let request = fixture.inbox.request(plan)
            fixture.engine.submit(request)
            // Behind the step that fails.
            try fixture.submit(2, to: bad)
            try fixture.inbox.wait(for: 1)
            fixture.engine.endOverdueRuns()
            if isCancelled {
                request.cancel()
                fixture.engine.endOverdueRuns()
            }
            try #expect(
                fixture.inbox.wait(for: 1).last == (isCancelled ? .cancelled : .failed(InferenceError("failed"))))
            #expect(fixture.engine.queueStatus.allSatisfy { $0.waitingRequests == 0 })
        }
    }

    @Test func `a step that joins a batch after its request was given up is found`() throws {
        let held = HeldRuns()
        let setup = EngineSetup { $0.key == Array("held".utf8) ? held.model() : FakeModel() }
        try setup.withEngine { fixture in
            defer { held.mayEnd.open() }
            let waiting = try fixture.load("waiting", batching: .init(size: 8, minimum: 3))
            let queue = try #require(waiting.readyQueue)
            try fixture.submit(2, to: waiting)
            try queue.awaitIdleness(of: 1)
            var plan = RequestPlan()
            let input = plan.add(try makeTensor(.float, [Float(1)]))
            let model = try fixture.load("held", device: "GPU")
            let output = plan.add(.model(model), inputs: [input], outputCount: 1)
            _ = plan.add(.model(waiting), inputs: [output.lowerBound], outputCount: 1)
            let request = fixture.inbox.request(plan)
            fixture.engine.submit(request)
            try held.hasBegun.wait()
            request.cancel()
            // Sees that somebody has left, and only steps of others.
            fixture.engine.endOverdueRuns()
            held.mayEnd.open()
            // Behind the first step.
            try fixture.submit(3, to: model)
            try #expect(fixture.inbox.wait(for: 1) == [.echo(3)])
            #expect(queue.depth.steps == 2)
            fixture.engine.endOverdueRuns()
            #expect(fixture.inbox.ended == [.echo(3), .cancelled])
        }
    }

    @Test func `a worker notices that a request was cancelled`() throws {
        try withHalf { fixture, request, held in
            request.cancel()
            held.mayEnd.open()
            try #expect(fixture.inbox.wait(for: 2) == [.echo(2), .echo(0), .cancelled])
        }
    }

    @Test func `a request that has ended keeps nobody, and nobody keeps it`() throws {
        /// Holds its request, as a command does.
        final class Command: InferenceRequest.Receiver {
            let request = Mutex<InferenceRequest?>(nil)
            let isTold = Gate("told")

            func requestDidEnd(_ request: InferenceRequest) {
                isTold.open()
            }
        }
        try withQueue { queue in
            weak var command: Command?
            weak var input: Tensor?
            let isTold: Gate
            do {
                let (made, tensor) = (Command(), try makeTensor(.float, [Float(1)]))
                let model = try queue.model(FakeModel())
                let request = InferenceRequest(
                    RequestPlan(.model(model), inputs: [tensor], outputCount: 1), timeout: nil, receiver: made)
                made.request.withLock { $0 = request }
                (command, input, isTold) = (made, tensor, made.isTold)
                queue.submit(request)
            }
            try isTold.wait()
            // The worker lets go of its job before it takes the next.
            try queue.submit(2, to: queue.model(FakeModel()))
            try queue.inbox.wait(for: 1)
            #expect(command == nil)
            #expect(input == nil)
        }
    }
}

/// Whoever is told of an end finds the artifacts released: a client that deletes a model after its last run gets its memory
/// back.
@Suite struct RequestReleaseTests {
    /// What was the case when a receiver was told.
    private final class Witness: InferenceRequest.Receiver {
        let isRetired = Gate("the model is retired")
        let sawRetired = Recorded<Bool>()
        private let told: [Gate]
        private let count = Atomic(0)

        init(expected: Int) {
            told = (0..<expected).map { Gate("request \($0) is told") }
        }

        func requestDidEnd(_ request: InferenceRequest) {
            sawRetired.append(isRetired.isOpen)
            told[count.wrappingAdd(1, ordering: .sequentiallyConsistent).oldValue].open()
        }

        func wait() throws {
            for gate in told { try gate.wait() }
        }
    }

    /// Submits requests for a model that only they hold.
    private func submit(
        _ witness: Witness, to queue: QueueFixture, _ loaded: FakeModel = FakeModel(), batching: Int = 0,
        steps: Int = 1, timeout: Int? = nil, isCancelled: Bool = false, _ values: [Float]
    ) throws {
        let model = try queue.model(loaded, batching: .init(size: batching)) { witness.isRetired.open() }
        for value in values {
            var plan = RequestPlan()
            let input = plan.add(try makeTensor(.float, [value]))
            for _ in 0..<steps { _ = plan.add(.model(model), inputs: [input], outputCount: 1) }
            let request = InferenceRequest(plan, timeout: timeout, receiver: witness)
            if isCancelled { request.cancel() }
            queue.submit(request)
        }
    }

    private static let picky = FakeModel { inputs, _ throws(InferenceError) in
        guard inputs[0].elements(as: Float.self)[0] > 0 else { throw InferenceError("negative") }
        return inputs
    }

    @Test(arguments: [([1], 1), ([-1], 1), ([1], 5), ([-1], 5)] as [([Float], Int)])
    func `by a request that has run`(values: [Float], steps: Int) throws {
        try withQueue { queue in
            let witness = Witness(expected: 1)
            try queue.hold()
            try submit(witness, to: queue, Self.picky, steps: steps, values)
            queue.release()
            try witness.wait()
            #expect(witness.sawRetired.all == [true])
        }
    }

    @Test(arguments: [1, 3])
    func `by a request that was not run`(steps: Int) throws {
        for isCancelled in [false, true] {
            try withQueue { queue in
                let witness = Witness(expected: 1)
                try queue.hold()
                try submit(witness, to: queue, steps: steps, timeout: 5, isCancelled: isCancelled, [1])
                queue.clock.advance(milliseconds: 6)
                queue.release()
                try witness.wait()
                #expect(witness.sawRetired.all == [true])
            }
        }
    }

    @Test(arguments: [[1, 2, 3], [1, -2, 3]] as [[Float]])
    func `by all members of a batch`(values: [Float]) throws {
        try withQueue { queue in
            let witness = Witness(expected: 3)
            try queue.hold()
            try submit(witness, to: queue, Self.picky, batching: 8, values)
            queue.release()
            try witness.wait()
            #expect(witness.sawRetired.all == [true, true, true])
            #expect(queue.queue.counters.batchedRequests == 3)
        }
    }
}

// MARK: Fixture

/// An engine with arithmetic models.
private struct Calculator {
    let fixture: EngineFixture

    struct End {
        let outcomes: [String]
        let error: InferenceError?
        let values: [[Int]?]
    }

    func model(_ key: String, device: String = "CPU") throws -> Model {
        try fixture.load(key, device: device)
    }

    func callAsFunction(_ key: String, device: String = "CPU") throws -> RequestPlan.Work {
        .model(try model(key, device: device))
    }

    /// Carries a plan out, and returns how that ended.
    func carryOut(_ plan: RequestPlan) throws -> End {
        let request = fixture.inbox.request(plan)
        fixture.engine.submit(request)
        // The plan's outputs are not FLOAT: what the inbox makes of them does not matter.
        try fixture.inbox.wait(for: 1)
        let outcome = try fixture.inbox.outcome(of: request)
        return End(
            outcomes: outcome.steps.map(\.text), error: outcome.firstError,
            values: outcome.tensors.map { $0?.elements(as: Int.self) })
    }
}

private func withCalculator(_ body: (Calculator) throws -> Void) throws {
    try EngineSetup(load: Arithmetic.load).withEngine { try body(Calculator(fixture: $0)) }
}

extension InferenceRequest.StepOutcome {
    /// As DAG commands show it.
    fileprivate var text: String {
        switch self {
        case .notRun: "NA"
        case .succeeded: "OK"
        case .failed(let error): error.message
        }
    }
}
