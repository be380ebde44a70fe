import TestSupport
import Testing

@testable import Inference

@Suite struct StepScheduleTests {
    @Test func `steps of one device run one after the other`() {
        var schedule = StepSchedule(devices: [0, 0, 0], producers: [[], [], []])
        #expect(schedule.start() == [0])
        #expect(schedule.end(0) == [1])
        #expect(schedule.end(1) == [2])
        #expect(!schedule.isOver)
        #expect(schedule.end(2) == [])
        #expect(schedule.isOver)
    }

    @Test func `steps of different devices run side by side`() {
        var schedule = StepSchedule(devices: [0, 1, 2, 1], producers: [[], [], [], []])
        #expect(schedule.start() == [0, 1, 2])
        #expect(schedule.end(2) == [])
        #expect(schedule.end(1) == [3])
        #expect(schedule.end(3) == [])
        #expect(!schedule.isOver)
        #expect(schedule.end(0) == [])
        #expect(schedule.isOver)
    }

    @Test func `a step waits for all whose outputs it takes`() {
        var schedule = StepSchedule(devices: [0, 1, 2], producers: [[], [], [0, 1]])
        #expect(schedule.start() == [0, 1])
        #expect(schedule.end(1) == [])
        #expect(schedule.end(0) == [2])
        #expect(schedule.end(2) == [])
        #expect(schedule.isOver)
    }

    @Test func `a step that takes several outputs of its predecessor starts once`() {
        var schedule = StepSchedule(devices: [0, 0, 1], producers: [[], [0, 0], [0, 0, 1]])
        #expect(schedule.start() == [0])
        #expect(schedule.end(0) == [1])
        #expect(schedule.end(1) == [2])
        #expect(schedule.end(2) == [])
        #expect(schedule.isOver)
    }

    @Test func `nothing is started after a stop, and what runs is waited for`() {
        var schedule = StepSchedule(devices: [0, 1, 0, 1], producers: [[], [], [], []])
        #expect(schedule.start() == [0, 1])
        schedule.stop()
        #expect(schedule.isStopped)
        #expect(schedule.end(0) == [])
        #expect(!schedule.isOver)
        #expect(schedule.end(1) == [])
        #expect(schedule.isOver)
    }

    @Test func `a single step is over when it has run`() {
        var schedule = StepSchedule.single
        #expect(!schedule.isOver)
        #expect(schedule.start() == [0])
        #expect(!schedule.isOver)
        #expect(schedule.end(0) == [])
        #expect(schedule.isOver)
    }

    @Test func `nothing to do is over at once`() {
        var schedule = StepSchedule(devices: [], producers: [])
        #expect(schedule.start() == [])
        #expect(schedule.isOver)
        #expect(StepSchedule(RequestPlan()).isOver)
    }
}

// MARK: Random graphs

@Suite struct StepScheduleCampaign {
    @Test(arguments: 0..<8)
    func `random graphs run as a naive interpreter says`(seed: Int) {
        var random = SeededGenerator(seed)
        for round in 0..<500 {
            let graph = Graph(&random)
            let stopper = random.isOne(in: 3) ? graph.devices.indices.randomElement(using: &random) : nil
            guard run(graph, stoppingAt: stopper, &random) else {
                Issue.record("seed \(seed), round \(round): \(graph), stopped at \(String(describing: stopper))")
                return
            }
        }
    }

    /// Carries a graph out in a random order; the step `stopper` fails. Whether everything was as it should be.
    private func run(_ graph: Graph, stoppingAt stopper: Int?, _ random: inout SeededGenerator) -> Bool {
        var schedule = StepSchedule(devices: graph.devices, producers: graph.producers)
        var interpreter = Interpreter(graph: graph)
        guard interpreter.begins(schedule.start()) else { return false }
        while let step = interpreter.running.randomElement(using: &random) {
            guard !schedule.isOver else { return false }
            if step == stopper {
                schedule.stop()
                interpreter.isStopped = true
            }
            interpreter.end(step)
            guard interpreter.begins(schedule.end(step)) else { return false }
        }
        return schedule.isOver && (interpreter.isStopped || interpreter.ended.count == graph.devices.count)
    }

    private struct Graph {
        var devices: [Int] = []
        var producers: [[Int]] = []

        init(_ random: inout SeededGenerator) {
            let count = random.isOne(in: 20) ? 40 : Int.random(in: 2...14, using: &random)
            let deviceCount = Int.random(in: 1...4, using: &random)
            for step in 0..<count {
                devices.append(Int.random(in: 0..<deviceCount, using: &random))
                let inputs = step == 0 ? 0 : Int.random(in: 0...3, using: &random)
                producers.append((0..<inputs).map { _ in Int.random(in: 0..<step, using: &random) })
            }
        }
    }

    /// Looks at all steps whenever something has happened.
    private struct Interpreter {
        let graph: Graph
        var started: Set<Int> = []
        var ended: Set<Int> = []
        var isStopped = false

        /// In the order of the graph, for the sake of the seed.
        var running: [Int] { started.subtracting(ended).sorted() }

        private func mayStart(_ step: Int) -> Bool {
            !isStopped && !started.contains(step) && graph.producers[step].allSatisfy(ended.contains)
                && (0..<step).allSatisfy { graph.devices[$0] != graph.devices[step] || ended.contains($0) }
        }

        /// Whether `steps` are those that may start, each once.
        mutating func begins(_ steps: [Int]) -> Bool {
            guard steps.sorted() == graph.devices.indices.filter(mayStart) else { return false }
            started.formUnion(steps)
            return true
        }

        mutating func end(_ step: Int) {
            ended.insert(step)
        }
    }
}
