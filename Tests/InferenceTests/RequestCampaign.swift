import Dispatch
import Synchronization
import Tensors
import TestSupport
import Testing

@testable import Inference

/// Thousands of random plans over three devices, side by side, with and without batches, failures, timeouts and clients that
/// leave; each looked at in the light of what a naive interpreter makes of it.
@Suite struct RequestCampaign {
    private static let devices = ["CPU", "CPU:1", "GPU"]
    private static let batching: [String: ModelDefinition.Batching] = [
        "CPU": .init(size: 6), "GPU": .init(size: 5, minimum: 3, timeout: 1),
    ]

    private static let requestCount = 700

    @Test(arguments: 0..<4)
    func `every request ends once, as the interpreter says`(seed: Int) throws {
        var setup = EngineSetup(load: Arithmetic.load)
        setup.configuration.threadsPerQueue = 1 + seed % 3
        try setup.withEngine { fixture in
            if seed % 2 == 0 { fixture.engine.beginRound() }
            var models: [String: Model] = [:]
            for device in Self.devices {
                for kind in Arithmetic.allCases {
                    let key = "\(kind.rawValue)@\(device)"
                    models[key] = try fixture.load(key, device: device, batching: Self.batching[device] ?? .init())
                }
            }
            let trials = try carryOut(fixture, models, SeededGenerator(seed))
            for (number, trial) in trials.enumerated() {
                let difference = trial.difference
                try #require(difference == nil, "seed \(seed), request \(number): \(trial.program)")
            }
            try compareCounts(fixture, trials, models)
        }
    }

    /// Submits requests while time goes by.
    private func carryOut(
        _ fixture: EngineFixture, _ models: [String: Model], _ random: SeededGenerator
    ) throws -> [Trial] {
        var random = random
        let arrivals = DispatchSemaphore(value: 0)
        var trials: [Trial] = []
        for number in 0..<Self.requestCount {
            let program = Program(&random, deviceCount: Self.devices.count)
            let plan = try program.plan { models["\($0.rawValue)@\(Self.devices[$1])"] }
            let timeout = random.isOne(in: 10) ? Int.random(in: 1...5, using: &random) : nil
            let isCancelled = random.isOne(in: 20)
            let trial = Trial(program, mayEndEarly: timeout != nil || isCancelled, arrivals)
            let request = InferenceRequest(plan, timeout: timeout, receiver: trial)
            fixture.engine.submit(request)
            if isCancelled { request.cancel() }
            if number % 7 == 0 {
                fixture.engine.endRound()
                if number % 2 == 0 { fixture.engine.beginRound() }
                fixture.clock.advance(microseconds: 200)
            }
            if number % 50 == 0 { fixture.engine.endOverdueRuns() }
            trials.append(trial)
        }
        fixture.engine.endRound()
        for _ in trials {
            // What waits, waits for the clock.
            var ticks = 0
            while arrivals.wait(timeout: .now() + .milliseconds(5)) == .timedOut {
                fixture.clock.advance(milliseconds: 1)
                fixture.engine.endOverdueRuns()
                ticks += 1
                try #require(ticks < Gate.patience * 200, "a request does not end")
            }
        }
        return trials
    }

    /// What is counted is what was run, and nothing is left in the queues.
    private func compareCounts(_ fixture: EngineFixture, _ trials: [Trial], _ models: [String: Model]) throws {
        let counts = models.values.map(\.statistics.snapshot)
        // A step without one of its inputs fails and does not run.
        let outcomes = trials.flatMap(\.outcomes).filter { $0.error != .inputHasNoTensor }
        #expect(counts.reduce(0) { $0 + $1.errors } == outcomes.count { $0.error != nil })
        #expect(counts.reduce(0) { $0 + $1.calls } == outcomes.count { $0.hasRun })
        let status = fixture.engine.queueStatus
        #expect(status.allSatisfy { $0.waitingRequests == 0 && $0.waitingBytes == 0 && $0.counters.refused == 0 })
        #expect(status.contains { $0.counters.batches > 0 })
    }
}

/// What is to be calculated.
private struct Program: CustomStringConvertible {
    struct Step {
        let kind: Arithmetic
        let device: Int
        let inputs: [Int]
    }

    let vectors: [[Int]]
    private(set) var steps: [Step] = []

    init(_ random: inout SeededGenerator, deviceCount: Int) {
        let rows = Int.random(in: 1...3, using: &random)
        vectors = (0..<Int.random(in: 1...3, using: &random)).map { _ in
            (0..<rows).map { _ in Int.random(in: 0..<12, using: &random) }
        }
        let kinds: [Arithmetic] = [.add, .add, .add, .split, .split, .check, random.isOne(in: 4) ? .none : .add]
        var slotCount = vectors.count
        for _ in 0..<Int.random(in: 1...9, using: &random) {
            let kind = kinds.randomElement(using: &random) ?? .add
            let inputs = (0..<kind.inputCount).map { _ in Int.random(in: 0..<slotCount, using: &random) }
            steps.append(Step(kind: kind, device: Int.random(in: 0..<deviceCount, using: &random), inputs: inputs))
            slotCount += kind.outputCount
        }
    }

    var description: String {
        "\(vectors), " + steps.map { "\($0.kind.rawValue)@\($0.device)\($0.inputs)" }.joined(separator: ", ")
    }

    func plan(_ model: (Arithmetic, Int) -> Model?) throws -> RequestPlan {
        var plan = RequestPlan()
        for vector in vectors { _ = plan.add(try makeTensor(.int64, vector)) }
        for step in steps {
            let model = try #require(model(step.kind, step.device))
            _ = plan.add(.model(model), inputs: step.inputs, outputCount: step.kind.outputCount)
        }
        return plan
    }

    enum Expected {
        case outputs([[Int]?])
        case failure(InferenceError)
        /// After something that fails.
        case nothing
    }

    /// What comes of each step when all others are let run as far as they can.
    func interpret() -> [Expected] {
        var slots: [[Int]?] = vectors
        var producers: [Int?] = vectors.map { _ in nil }
        var results: [Expected] = []
        for (index, step) in steps.enumerated() {
            let before = steps[..<index].lastIndex { $0.device == step.device }
            let isBlocked = ([before] + step.inputs.map { producers[$0] }).contains { other in
                guard let other else { return false }
                if case .outputs = results[other] { return false }
                return true
            }
            let result = isBlocked ? .nothing : run(step, slots)
            results.append(result)
            for number in 0..<step.kind.outputCount {
                if case .outputs(let outputs) = result { slots.append(outputs[number]) } else { slots.append(nil) }
                producers.append(index)
            }
        }
        return results
    }

    private func run(_ step: Step, _ slots: [[Int]?]) -> Expected {
        let inputs = step.inputs.compactMap { slots[$0] }
        guard inputs.count == step.inputs.count else { return .failure(.inputHasNoTensor) }
        do throws(InferenceError) {
            return .outputs(try step.kind(inputs))
        } catch {
            return .failure(error)
        }
    }
}

/// A request under way, and then how it ended.
private final class Trial: InferenceRequest.Receiver {
    private struct End {
        var count = 0
        var ending = InferenceRequest.Ending.completed
        var outcomes: [InferenceRequest.StepOutcome] = []
        var values: [[Int]?] = []
    }

    let program: Program
    private let mayEndEarly: Bool
    private let arrivals: DispatchSemaphore
    private let end = Mutex(End())

    init(_ program: Program, mayEndEarly: Bool, _ arrivals: DispatchSemaphore) {
        self.program = program
        self.arrivals = arrivals
        self.mayEndEarly = mayEndEarly
    }

    func requestDidEnd(_ request: InferenceRequest) {
        let outcome = request.takeOutcome()
        end.withLock { end in
            end.count += 1
            end.ending = outcome.ending
            end.outcomes = outcome.steps
            end.values = outcome.tensors.map { $0?.elements(as: Int.self) }
        }
        arrivals.signal()
    }

    var outcomes: [InferenceRequest.StepOutcome] { end.withLock { $0.outcomes } }

    /// What is not as the interpreter says; nil when everything is.
    var difference: String? {
        let end = end.withLock { $0 }
        let expected = program.interpret()
        guard end.count == 1 else { return "told \(end.count) times" }
        guard end.ending == .completed || mayEndEarly else { return "\(end.ending)" }
        guard Array(end.values.prefix(program.vectors.count)) == program.vectors else { return "inputs have changed" }
        let hasFailed = end.outcomes.contains { $0.error != nil }
        if end.ending == .completed, !hasFailed, !end.outcomes.allSatisfy(\.hasRun) { return "it ended too early" }
        var slot = program.vectors.count
        for (step, outcome) in end.outcomes.enumerated() {
            let count = program.steps[step].kind.outputCount
            let values = Array(end.values[slot..<slot + count])
            slot += count
            guard isPossible(outcome, values, expected[step]) else { return "step \(step): \(outcome), \(values)" }
        }
        return nil
    }

    private func isPossible(
        _ outcome: InferenceRequest.StepOutcome, _ values: [[Int]?], _ expected: Program.Expected
    ) -> Bool {
        switch (outcome, expected) {
        case (.succeeded, .outputs(let outputs)): values == outputs
        case (.failed(let error), .failure(let expected)): error == expected && values.allSatisfy { $0 == nil }
        case (.notRun, _): values.allSatisfy { $0 == nil }
        default: false
        }
    }
}

extension InferenceRequest.StepOutcome {
    fileprivate var error: InferenceError? { if case .failed(let error) = self { error } else { nil } }
    fileprivate var hasRun: Bool { if case .notRun = self { false } else { true } }
}
