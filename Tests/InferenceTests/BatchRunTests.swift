import Synchronization
import Tensors
import TestSupport
import Testing

@testable import Inference

@Suite struct BatchRunTests {
    /// 4 bytes, 2 KiB and 8 KiB a row: inputs up to 4 KiB are written when they come, larger ones when they run.
    @Test(arguments: [1, 512, 2048])
    func `inputs are put one below the other, and each gets its rows back`(columns: Int) throws {
        let seen = Recorded<Tensor>()
        try withBatches { bench in
            let model = try bench.model(
                FakeModel { inputs, _ in
                    for input in inputs { seen.append(input) }
                    return inputs
                })
            let counts = [1, 3, 1, 2, 1, 40, 1]
            let inputs = try counts.enumerated().map { number, rows in
                try makeTensor(.float, Array(repeating: Float(number), count: rows * columns), [rows, columns])
            }
            for input in inputs { try bench.add(model, [input]) }
            let ends = bench.run()
            #expect(seen.all.map(\.shape) == [[49, columns]])
            #expect(seen.all[0].storedBytes == inputs.flatMap(\.storedBytes))
            let outputs = try ends.map { try #require(try $0.result.get().first ?? nil) }
            #expect(outputs.map(\.shape.dimensions) == counts.map { [$0, columns] })
            #expect(outputs.map(\.storedBytes) == inputs.map(\.storedBytes))
        }
    }

    @Test func `every input and every output is of its own shape and type`() throws {
        try withBatches { bench in
            let model = try bench.model(
                FakeModel(inputNames: ["a", "b"], outputNames: ["b", "a"], onRun: { inputs, _ in inputs.reversed() }))
            for number in 1...2 {
                let narrow = try makeTensor(.int8, [UInt8(number), UInt8(number + 10)], [2])
                let wide = try makeTensor(.float, (0..<6).map { Float($0 * number) }, [2, 3])
                try bench.add(model, [narrow, wide], outputs: 2)
            }
            for (end, number) in zip(bench.run(), 1...2) {
                let outputs = try end.result.get()
                #expect(outputs[0]?.elements(as: Float.self) == (0..<6).map { Float($0 * number) })
                #expect(outputs[0]?.shape == [2, 3])
                #expect(outputs[1]?.elements(as: Int8.self) == [Int8(number), Int8(number + 10)])
            }
        }
    }

    @Test func `strings are put together and come apart`() throws {
        try withBatches { bench in
            let model = try bench.model(FakeModel())
            let inputs = [["a", ""], ["", ""], ["long", "é", "b", ""]]
            for strings in inputs { try bench.add(model, [makeTensor(strings: strings, [strings.count / 2, 2])]) }
            let outputs = try bench.run().map { try #require(try $0.result.get().first ?? nil) }
            #expect(outputs.map(\.strings) == inputs)
            #expect(outputs.map(\.shape) == [[1, 2], [1, 2], [2, 2]])
        }
    }

    @Test(arguments: [1, 2048])
    func `members that leave take their rows with them`(columns: Int) throws {
        try withBatches { bench in
            let model = try bench.model(FakeModel())
            let inputs = try (0..<5).map {
                try makeTensor(.float, Array(repeating: Float($0), count: columns), [1, columns])
            }
            for input in inputs[..<4] { try bench.add(model, [input]) }
            bench.cancel(1)
            bench.cancel(2)
            try bench.add(model, [inputs[4]])
            let ends = bench.run()
            try #expect(
                ends.map { try $0.result.get().first??.storedBytes } == [0, 3, 4].map { inputs[$0].storedBytes })
        }
    }

    @Test func `other numbers of rows than went in are everybody's error, in the engine's words`() throws {
        let other = BackendDescription(
            name: "OTHER", id: 8, defaultPath: "", names: .fromModel, batchSizeError: InferenceError("what a size"),
            open: nil)
        for (backend, error) in [
            (BackendDescription.unopened, InferenceError.unexpectedBatchSize), (other, other.batchSizeError),
        ] {
            for rows in [1, 4, 0] {
                try withBatches { bench in
                    let model = try bench.model(
                        FakeModel { _, _ in [try? Tensor(zeros: .float, [rows, 2])] }, backend: backend)
                    for _ in 0..<3 { try bench.add(model, [Tensor(zeros: .float, [1])]) }
                    #expect(bench.run().map(\.error) == [error, error, error])
                }
            }
        }
    }

    @Test func `the rows of a step that runs alone are not looked at`() throws {
        try withBatches { bench in
            let model = try bench.model(FakeModel { _, _ in [try? Tensor(zeros: .float, [5])] })
            try bench.add(model, [Tensor(zeros: .float, [2])])
            try #expect(bench.run().map { try $0.result.get().first??.shape } == [[5]])
        }
    }

    @Test func `outputs without rows belong to nobody`() throws {
        try withBatches { bench in
            let model = try bench.model(
                FakeModel(
                    outputNames: ["scalar", "none", "rows"],
                    onRun: { inputs, _ in [try? Tensor(zeros: .float, []), nil, inputs[0]] }))
            for value in [1, 2] { try bench.add(model, [makeTensor(.float, [Float(value)])], outputs: 3) }
            let outputs = try bench.run().map { try $0.result.get() }
            #expect(outputs.map { $0.map { $0?.elements(as: Float.self) } } == [[nil, nil, [1]], [nil, nil, [2]]])
        }
    }

    @Test func `when a batch fails each runs alone, so that only the guilty fails`() throws {
        let sizes = Recorded<Int>()
        try withBatches { bench in
            let model = try bench.model(
                FakeModel { inputs, _ throws(InferenceError) in
                    sizes.append(inputs[0].batchSize)
                    guard !inputs[0].elements(as: Float.self).contains(-1) else { throw InferenceError("bad row") }
                    return inputs
                })
            for row in [[1, 2], [-1], [3]] as [[Float]] { try bench.add(model, [makeTensor(.float, row)]) }
            let ends = bench.run()
            #expect(sizes.all == [4, 2, 1, 1])
            #expect(ends.map(\.error) == [nil, InferenceError("bad row"), nil])
            try #expect(ends[0].result.get().first??.elements(as: Float.self) == [1, 2])
            try #expect(ends[2].result.get().first??.elements(as: Float.self) == [3])
        }
    }

    @Test func `a batch that was interrupted is not run again`() throws {
        let runs = Recorded<Int>()
        try withBatches { bench in
            let (clock, endless) = (bench.clock, EndlessRun())
            let model = try bench.model(
                FakeModel { inputs, watch throws(InferenceError) in
                    runs.append(inputs[0].batchSize)
                    watch.during(endless) {
                        clock.advance(milliseconds: 2)
                        watch.interrupt(olderThan: 1_000_000)
                    }
                    throw InferenceError("interrupted")
                })
            for _ in 0..<3 { try bench.add(model, [Tensor(zeros: .float, [1])]) }
            let ends = bench.run()
            #expect(runs.all == [3])
            #expect(ends.map(\.error) == Array(repeating: InferenceError("interrupted"), count: 3))
            #expect(ends.map(\.microseconds) == [2_000, 2_000, 2_000])
        }
    }

    @Test func `members that want different numbers of outputs run alone`() throws {
        try withBatches { bench in
            let model = try bench.model(FakeModel())
            for outputs in [1, 2] { try bench.add(model, [Tensor(zeros: .float, [1])], outputs: outputs) }
            #expect(bench.run().map(\.error) == [nil, .wrongOutputCount])
        }
    }

    @Test func `a wrong number of inputs is everybody's own error`() throws {
        try withBatches { bench in
            let model = try bench.model(FakeModel())
            let tensor = try Tensor(zeros: .float, [1])
            for _ in 0..<2 { try bench.add(model, [tensor, tensor]) }
            #expect(bench.run().map(\.error) == [.wrongInputCount, .wrongInputCount])
        }
    }

    @Test func `rows that make no tensor together run alone`() throws {
        try withBatches(size: .max) { bench in
            let model = try bench.model(FakeModel())
            for _ in 0..<2 { try bench.add(model, [Tensor(zeros: .float, [1 << 61, 2, 0])]) }
            try #expect(bench.run().map { try $0.result.get().first??.shape } == [[1 << 61, 2, 0], [1 << 61, 2, 0]])
        }
    }

    @Test func `each member counts the run, with its own rows`() throws {
        try withBatches { bench in
            let clock = bench.clock
            let model = try bench.model(
                FakeModel { inputs, _ in
                    clock.advance(microseconds: 2_500)
                    return inputs
                })
            for rows in [2, 1] { try bench.add(model, [Tensor(zeros: .float, [rows])]) }
            for end in bench.run() { end.step.settle(end.result, microseconds: end.microseconds) }
            #expect(model.statistics.snapshot == .init(duration: 5_000, samples: 3, calls: 2, errors: 0))
        }
    }
}

// MARK: Fixture

/// Batches in the hands of a worker, without the worker.
private struct BatchBench {
    let clock: ManualClock
    private let fixture: QueueFixture
    private let size: Int
    private var queue = NumberedQueue()

    init(_ fixture: QueueFixture, size: Int) {
        self.fixture = fixture
        self.size = size
        clock = fixture.clock
    }

    func model(_ loaded: FakeModel, backend: BackendDescription = .unopened) throws -> Model {
        try fixture.model(loaded, batching: .init(size: size), backend: backend)
    }

    mutating func add(_ model: Model, _ inputs: [Tensor], outputs: Int = 1) throws {
        try queue.add(model, inputs, outputs: outputs)
    }

    mutating func cancel(_ step: Int) {
        queue.steps[step].request.cancel()
        _ = queue.sweep()
    }

    /// Runs everything that was added, as one job.
    mutating func run() -> [BatchRun.StepEnd] {
        guard let job = queue.nextJob() else { return [] }
        #expect(queue.queue.isEmpty)
        return switch BatchRun(clock: clock.monotonic, watch: RunWatch(clock: clock.monotonic)).run(job) {
        case .one(let end): [end]
        case .many(let ends): ends
        }
    }
}

private func withBatches(size: Int = 100, _ body: (inout BatchBench) throws -> Void) throws {
    try withQueue { fixture in
        var bench = BatchBench(fixture, size: size)
        try body(&bench)
    }
}

extension BatchRun.StepEnd {
    fileprivate var error: InferenceError? {
        if case .failure(let error) = result { error } else { nil }
    }
}
