import Tensors
import TestSupport
import Testing

@testable import Inference

@Suite struct RunQueueTests {
    private var queue = NumberedQueue()

    @Test mutating func `first come, first served`() throws {
        let (plain, other) = (try queue.model(.init()), try queue.model(.init()))
        for model in [plain, other, plain, plain] { try #expect(queue.add(model)) }
        #expect([queue.next(), queue.next(), queue.next(), queue.next(), queue.next()] == [[0], [1], [2], [3], nil])
        #expect(queue.queue.isEmpty)
    }

    @Test mutating func `a step in front of everything runs first`() throws {
        let model = try queue.model(.init())
        try queue.add(model)
        try queue.add(model)
        try #expect(queue.add(model, inFront: true))
        #expect([queue.next(), queue.next(), queue.next()] == [[2], [0], [1]])
    }

    @Test mutating func `counts steps and bytes that wait`() throws {
        let (plain, batching) = (try queue.model(.init()), try queue.model(.init(size: 8, minimum: 4)))
        try queue.add(plain, [3])
        try queue.add(batching, [2])
        try queue.add(batching, [1], timeout: 5)
        #expect((queue.queue.stepCount, queue.queue.byteCount) == (3, 24))
        #expect(queue.next() == [0])
        #expect((queue.queue.stepCount, queue.queue.byteCount) == (2, 12))
        #expect(queue.next() == nil)
        #expect((queue.queue.stepCount, queue.queue.byteCount) == (2, 12))
        queue.advance(milliseconds: 6)
        #expect(queue.next() == nil)
        #expect(queue.dropped() == [.init(step: 2, reason: .timedOut)])
        #expect((queue.queue.stepCount, queue.queue.byteCount) == (1, 8))
        try queue.add(batching, [2])
        #expect(queue.next() == [1, 3])
        #expect((queue.queue.stepCount, queue.queue.byteCount) == (0, 0))
    }

    @Test mutating func `takes out everything, wherever it is`() throws {
        let (plain, batching) = (try queue.model(.init()), try queue.model(.init(size: 8, minimum: 4)))
        try queue.add(batching)
        #expect(queue.next() == nil)
        try queue.add(batching)
        try queue.add(plain)
        #expect(queue.takeAll().sorted() == [0, 1, 2])
        #expect(queue.queue.isEmpty && queue.queue.deadline == nil)
        #expect((queue.queue.stepCount, queue.queue.byteCount) == (0, 0))
        try queue.add(batching)
        #expect(queue.takeAll() == [3])
    }

    @Test mutating func `steps for which nobody waits are not handed out`() throws {
        let model = try queue.model(.init())
        for timeout in [nil, 5, nil, nil] as [Int?] { try queue.add(model, timeout: timeout) }
        queue.steps[2].request.cancel()
        queue.advance(milliseconds: 6)
        #expect([queue.next(), queue.next(), queue.next()] == [[0], [3], nil])
        #expect(queue.dropped() == [.init(step: 1, reason: .timedOut), .init(step: 2, reason: .cancelled)])
        #expect(queue.dropped() == [])
    }

    @Test mutating func `a step of a request that has failed elsewhere is not handed out`() throws {
        let (first, second) = (try queue.model(.init()), Model(try .fake(device: "CPU:1"), retire: { _ in }))
        var plan = RequestPlan(.model(first), inputs: [try makeTensor(.float, [Float(1)])], outputCount: 1)
        _ = plan.add(.model(second), inputs: [0], outputCount: 1)
        let collector = StepCollector()
        queue.inbox.request(plan).start(collector)
        let steps = collector.take()
        try #require(steps.count == 2)
        queue.add(steps[0])
        steps[1].refuse(InferenceError("failed"))
        #expect(queue.next() == nil)
        #expect(queue.dropped() == [.init(step: 0, reason: .completed)])
    }

    @Test(arguments: [(1, 1_999_999, false), (1, 2_000_000, true), (.max, .max / 2, false)])
    mutating func `time runs out with the first nanosecond of a millisecond too many`(
        timeout: Int, nanoseconds: Int, runsOut: Bool
    ) throws {
        try queue.add(queue.model(.init()), timeout: timeout)
        queue.advance(milliseconds: 0, nanoseconds: nanoseconds)
        #expect(queue.next() == (runsOut ? nil : [0]))
    }

    @Test mutating func `a sweep drops steps behind others, and leaves the rest as they were`() throws {
        let (plain, batching) = (try queue.model(.init()), try queue.model(.init(size: 8)))
        for model in [plain, plain, batching, batching, plain] { try queue.add(model) }
        for step in [1, 2] { queue.steps[step].request.cancel() }
        #expect(queue.sweep() == false)
        #expect(queue.dropped().map(\.step) == [1, 2])
        #expect(queue.queue.stepCount == 3)
        #expect([queue.next(), queue.next(), queue.next(), queue.next()] == [[0], [3], [4], nil])
    }
}

// MARK: Who runs together

@Suite struct RunQueueBatchTests {
    private var queue = NumberedQueue()

    @Test mutating func `steps of one model run together, in the place of the first`() throws {
        let (model, other) = (try queue.model(.init(size: 4)), try queue.model(.init()))
        try #expect(queue.add(model, [1, 2]))
        try queue.add(other)
        try #expect(queue.add(model, [2, 2]) == false)
        #expect([queue.next(), queue.next(), queue.next()] == [[0, 2], [1], nil])
    }

    @Test mutating func `a model that does not batch has its steps run alone`() throws {
        let model = try queue.model(.init())
        try queue.add(model)
        try queue.add(model)
        #expect([queue.next(), queue.next()] == [[0], [1]])
    }

    @Test mutating func `the last member may exceed the size`() throws {
        let model = try queue.model(.init(size: 4))
        for rows in [3, 3, 1, 1] { try queue.add(model, [rows]) }
        #expect([queue.next(), queue.next(), queue.next()] == [[0, 1], [2, 3], nil])
    }

    @Test mutating func `what is full is closed`() throws {
        let model = try queue.model(.init(size: 3))
        for _ in 0..<7 { try queue.add(model) }
        #expect([queue.next(), queue.next(), queue.next()] == [[0, 1, 2], [3, 4, 5], [6]])
    }

    @Test mutating func `a batch that has been handed out is not joined`() throws {
        let model = try queue.model(.init(size: 3))
        try queue.add(model)
        #expect(queue.next() == [0])
        try #expect(queue.add(model))
        #expect(queue.next() == [1])
    }

    @Test mutating func `other models, types, dimensions, ranks and numbers of inputs run apart`() throws {
        let (model, other) = (try queue.model(.init(size: 9)), try queue.model(.init(size: 9)))
        let tensors = try [[1, 2, 3], [1, 3, 2], [1, 6], [1, 2, 3, 1]].map { try Tensor(zeros: .float, Shape($0)) }
        for _ in 0..<2 {
            for tensor in tensors { try queue.add(model, [tensor]) }
            try queue.add(model, [1, 2, 3], .int32)
            try queue.add(model, [tensors[0], tensors[0]])
            try queue.add(other, [tensors[0]])
        }
        for first in 0..<7 { #expect(queue.next() == [first, first + 7]) }
        #expect(queue.next() == nil)
    }

    @Test mutating func `every input counts`() throws {
        let model = try queue.model(.init(size: 9))
        let (wide, narrow) = (try Tensor(zeros: .float, [1, 2]), try Tensor(zeros: .float, [1, 1]))
        for inputs in [[wide, narrow], [wide, wide], [wide, narrow]] { try queue.add(model, inputs) }
        #expect([queue.next(), queue.next()] == [[0, 2], [1]])
    }

    @Test(arguments: [[[4]], [[5, 2]], [[]], [[2], [1]], [[2], []], [[]], [[0, 3]]] as [[Shape]])
    mutating func `enough rows, none, or unequal ones run alone and at once`(shapes: [Shape]) throws {
        let model = try queue.model(.init(size: 4, minimum: 4))
        let inputs = try shapes.map { try Tensor(zeros: .float, $0) }
        try queue.add(model, inputs)
        try queue.add(model, inputs)
        #expect([queue.next(), queue.next(), queue.next()] == [[0], [1], nil])
    }

    @Test mutating func `a step that lacks an input runs alone, to fail alone`() throws {
        let model = try queue.model(.init(size: 4, minimum: 2))
        var plan = RequestPlan(.model(model), inputs: [try Tensor(zeros: .float, [1])], outputCount: 1)
        _ = plan.add(.model(model), inputs: [0, 1], outputCount: 1)
        queue.add(
            ReadyStep(
                plan.steps[1], at: 1, of: queue.inbox.request(plan), plan.tensors, inputSlots: plan.inputSlots))
        #expect(queue.next() == [0])
    }

    @Test mutating func `a step in front joins the batch that forms, or begins one there`() throws {
        let (model, plain) = (try queue.model(.init(size: 4)), try queue.model(.init()))
        try queue.add(plain)
        try queue.add(model)
        try #expect(queue.add(model, inFront: true) == false)
        try #expect(queue.add(model, [1, 1], inFront: true))
        #expect([queue.next(), queue.next(), queue.next()] == [[3], [0], [1, 2]])
    }

    @Test mutating func `inputs that are too large together run apart`() throws {
        let model = try queue.model(.init(size: 100, minimum: 50))
        let half = try Tensor(zeros: .uint8, [1, tensorSizeLimit / 2])
        for _ in 0..<2 { try queue.add(model, [half]) }
        #expect(queue.next() == nil)
        try #expect(queue.add(model, [half]))
        #expect([queue.next(), queue.next()] == [[0, 1], nil])
        #expect(queue.queue.stepCount == 1)
    }

    @Test mutating func `rows without elements are no way to overflow anything`() throws {
        let model = try queue.model(.init(size: .max))
        for _ in 0..<4 { try queue.add(model, [1 << 62, 0]) }
        #expect([queue.next(), queue.next(), queue.next(), queue.next()] == [[0], [1], [2], [3]])
    }
}

// MARK: Minimum

@Suite struct RunQueueMinimumTests {
    private var queue = NumberedQueue()

    @Test mutating func `a batch waits for its minimum, and others pass`() throws {
        let (model, plain) = (try queue.model(.init(size: 8, minimum: 3)), try queue.model(.init()))
        try queue.add(model)
        try queue.add(plain)
        #expect([queue.next(), queue.next()] == [[1], nil])
        #expect(queue.queue.deadline == nil)
        try #expect(queue.add(model) == false)
        #expect(queue.next() == nil)
        try queue.add(plain)
        try #expect(queue.add(model))
        #expect([queue.next(), queue.next()] == [[3], [0, 2, 4]])
    }

    @Test mutating func `a batch has its place while it grows before its turn`() throws {
        let (model, plain) = (try queue.model(.init(size: 8, minimum: 2)), try queue.model(.init()))
        try queue.add(model)
        try queue.add(plain)
        try queue.add(model)
        #expect([queue.next(), queue.next()] == [[0, 2], [1]])
    }

    @Test mutating func `a batch below its minimum runs when its first has waited longer than it should`() throws {
        let model = try queue.model(.init(size: 8, minimum: 4, timeout: 10))
        try queue.add(model)
        queue.advance(milliseconds: 6)
        try queue.add(model)
        #expect(queue.next() == nil)
        queue.advance(milliseconds: 4)
        #expect(queue.next() == nil)
        #expect(queue.queue.deadline == Instant(nanoseconds: queue.now.nanoseconds + 1))
        queue.advance(milliseconds: 0, nanoseconds: 1)
        #expect(queue.next() == [0, 1])
        #expect(queue.queue.isEmpty)
    }

    @Test mutating func `whoever comes too late for the minimum makes the batch run at once`() throws {
        let model = try queue.model(.init(size: 8, minimum: 4, timeout: 10))
        try queue.add(model)
        #expect(queue.next() == nil)
        queue.advance(milliseconds: 11)
        try #expect(queue.add(model))
        #expect(queue.next() == [0, 1])
    }

    @Test mutating func `its time comes also while other work does not end`() throws {
        let (model, plain) = (try queue.model(.init(size: 8, minimum: 4, timeout: 10)), try queue.model(.init()))
        try queue.add(model)
        #expect(queue.next() == nil)
        for _ in 0..<3 { try queue.add(plain) }
        #expect(queue.next() == [1])
        queue.advance(milliseconds: 11)
        #expect(queue.next() == [2])
        try queue.add(plain)
        #expect([queue.next(), queue.next(), queue.next()] == [[3], [0], [4]])
    }

    @Test mutating func `several batches come to be due together`() throws {
        let models = try (0..<3).map { _ in try queue.model(.init(size: 8, minimum: 4, timeout: 10)) }
        for model in models { try queue.add(model) }
        #expect(queue.next() == nil)
        queue.advance(milliseconds: 11)
        #expect(queue.next() == [0])
        #expect(queue.queue.jobCount == 2)
        #expect([queue.next(), queue.next(), queue.next()] == [[1], [2], nil])
    }

    @Test mutating func `a member's own time ends its wait, and the others go on waiting`() throws {
        let model = try queue.model(.init(size: 8, minimum: 3))
        try queue.add(model)
        try queue.add(model, timeout: 5)
        #expect(queue.next() == nil)
        #expect(queue.queue.deadline == Instant(nanoseconds: queue.now.nanoseconds + 6_000_000))
        queue.advance(milliseconds: 6)
        #expect(queue.next() == nil)
        #expect(queue.dropped() == [.init(step: 1, reason: .timedOut)])
        #expect(queue.queue.deadline == nil)
        try queue.add(model)
        #expect(queue.next() == nil)
        try queue.add(model)
        #expect(queue.next() == [0, 2, 3])
    }

    @Test mutating func `whoever joins with less time brings the deadline forward`() throws {
        let model = try queue.model(.init(size: 8, minimum: 4))
        try queue.add(model, timeout: 50)
        #expect(queue.next() == nil)
        try #expect(queue.add(model, timeout: 90) == false)
        try #expect(queue.add(model, timeout: 20))
        #expect(queue.queue.deadline == Instant(nanoseconds: queue.now.nanoseconds + 21_000_000))
    }

    @Test mutating func `a sweep finds cancelled members, and what is due`() throws {
        let model = try queue.model(.init(size: 8, minimum: 4, timeout: 10))
        for _ in 0..<3 { try queue.add(model) }
        #expect(queue.next() == nil)
        queue.steps[0].request.cancel()
        #expect(queue.sweep() == false)
        #expect(queue.dropped() == [.init(step: 0, reason: .cancelled)])
        queue.advance(milliseconds: 11)
        #expect(queue.sweep() == true)
        #expect(queue.next() == [1, 2])
    }

    @Test mutating func `a batch whose members have all gone is forgotten`() throws {
        let model = try queue.model(.init(size: 8, minimum: 2))
        for _ in 0..<2 {
            try queue.add(model, timeout: 5)
            #expect(queue.next() == nil)
            queue.advance(milliseconds: 6)
            #expect(queue.next() == nil)
        }
        #expect(queue.dropped().map(\.step) == [0, 1])
        #expect(queue.queue.isEmpty && queue.queue.stepCount == 0)
        for _ in 0..<2 { try queue.add(model) }
        #expect(queue.next() == [2, 3])
    }

    @Test mutating func `a full batch runs although the minimum is larger still`() throws {
        let model = try queue.model(.init(size: 2, minimum: 5))
        for _ in 0..<2 { try queue.add(model) }
        #expect(queue.next() == [0, 1])
        try queue.add(model)
        #expect(queue.next() == nil)
        try #expect(queue.add(model))
        #expect(queue.next() == [2, 3])
    }

    @Test mutating func `a full batch that has lost members can be joined again`() throws {
        let model = try queue.model(.init(size: 3, minimum: 3))
        for timeout in [nil, 5, nil] as [Int?] { try queue.add(model, timeout: timeout) }
        queue.advance(milliseconds: 6)
        #expect(queue.next() == nil)
        try #expect(queue.add(model))
        #expect(queue.next() == [0, 2, 3])
    }

    @Test mutating func `those who came when a batch was full take the places of members that leave it`() throws {
        let model = try queue.model(.init(size: 3, minimum: 3))
        for timeout in [nil, 5, nil, nil, nil] as [Int?] { try queue.add(model, timeout: timeout) }
        queue.advance(milliseconds: 6)
        #expect([queue.next(), queue.next()] == [[0, 2, 3], nil])
        #expect(queue.queue.stepCount == 1)
        try queue.add(model)
        try queue.add(model)
        #expect(queue.next() == [4, 5, 6])
    }

    @Test mutating func `when all have moved up the batch can be joined`() throws {
        let model = try queue.model(.init(size: 4, minimum: 4))
        for timeout in [nil, 5, 5, nil, nil] as [Int?] { try queue.add(model, timeout: timeout) }
        queue.advance(milliseconds: 6)
        #expect(queue.next() == nil)
        #expect(queue.queue.jobCount == 0)
        try queue.add(model)
        #expect(queue.next() == [0, 3, 4, 5])
        #expect(queue.queue.isEmpty)
    }

    @Test mutating func `nobody moves up whose own time has run out`() throws {
        let model = try queue.model(.init(size: 3, minimum: 2))
        for timeout in [nil, 5, nil, 5, nil] as [Int?] { try queue.add(model, timeout: timeout) }
        queue.advance(milliseconds: 6)
        #expect(queue.next() == [0, 2, 4])
        #expect(queue.dropped().map(\.step) == [1, 3])
        #expect(queue.queue.isEmpty && queue.queue.stepCount == 0)
    }

    @Test mutating func `only a batch is taken that stands first and is wanted`() throws {
        let (model, plain) = (try queue.model(.init(size: 4, minimum: 2)), try queue.model(.init()))
        #expect(queue.takeBatch() == nil)
        try queue.add(model)
        #expect(queue.takeBatch() == nil)
        try queue.add(model)
        #expect(queue.takeBatch(rowLimit: 1) == nil)
        #expect(queue.takeBatch() == [0, 1])
        try queue.add(plain)
        for _ in 0..<2 { try queue.add(model) }
        #expect(queue.takeBatch() == nil)
        #expect([queue.next(), queue.next(), queue.next()] == [[2], [3, 4], nil])
    }

    @Test(arguments: [0, 1])
    mutating func `a batch that is taken when its members' time has run out leaves what stands behind it`(
        lasting: Int
    ) throws {
        let (model, plain) = (try queue.model(.init(size: 4, minimum: 2)), try queue.model(.init()))
        try queue.add(model, timeout: 5)
        try queue.add(model, timeout: lasting == 0 ? 5 : nil)
        try queue.add(plain)
        queue.advance(milliseconds: 6)
        #expect(queue.takeBatch() == nil)
        #expect(queue.dropped().map(\.step) == Array(0..<2 - lasting))
        #expect(queue.queue.stepCount == 1 + lasting)
        #expect(queue.next() == [2])
    }

    @Test(arguments: [.max, .max / 1_000_000, Int.max / 2])
    mutating func `times beyond all clocks are never`(timeout: Int) throws {
        let model = try queue.model(.init(size: 8, minimum: 4, timeout: timeout))
        try queue.add(model, timeout: timeout)
        #expect(queue.next() == nil)
        queue.now = Instant(nanoseconds: .max - 1)
        #expect(queue.next() == nil)
    }
}
