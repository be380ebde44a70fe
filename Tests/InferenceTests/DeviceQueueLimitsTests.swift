import Tensors
import TestSupport
import Testing

@testable import Inference

@Suite struct DeviceQueueLimitsTests {
    private func floats(_ count: Int) throws -> Tensor {
        try makeTensor(.float, Array(repeating: Float(count), count: count))
    }

    @Test func `inputs beyond the limit of bytes are refused, but not by an empty queue`() throws {
        try withQueue(limits: .init(bytes: 40)) { queue in
            let model = try queue.model(FakeModel())
            try queue.hold()
            try queue.submit(floats(100), to: model)
            #expect(queue.queue.depth == (1, 400))
            try queue.submit(floats(1), to: model)
            #expect(queue.inbox.ended == [.failed(.queueIsFull("CPU", byteLimit: 40))])
            #expect(queue.queue.counters.refused == 1)
            queue.release()
            try queue.inbox.wait(for: 3)
            #expect(queue.queue.depth == (0, 0))
        }
    }

    @Test func `as many bytes as the limit says may wait`() throws {
        try withQueue(limits: .init(bytes: 40)) { queue in
            let model = try queue.model(FakeModel())
            try queue.hold()
            for count in [7, 2, 1] { try queue.submit(floats(count), to: model) }
            #expect(queue.queue.depth == (3, 40))
            try queue.submit(floats(1), to: model)
            try queue.submit(Tensor(zeros: .float, [0]), to: model)
            #expect(queue.queue.depth == (4, 40))
            #expect(queue.queue.counters.refused == 1)
        }
    }

    @Test func `steps that follow in a request are not refused, and go first`() throws {
        let (begun, order) = (Gate("the first step has begun"), Recorded<Float>())
        let mayEnd = Gate("the first step may end")
        try withQueue(limits: .init(requests: 1, bytes: 4)) { queue in
            defer { mayEnd.open() }
            let model = try queue.model(
                FakeModel { inputs, _ in
                    let value = inputs[0].elements(as: Float.self)[0]
                    order.append(value)
                    if value == 1 {
                        begun.open()
                        mayEnd.pass()
                    }
                    return inputs
                })
            var plan = RequestPlan()
            for value in [1, 2, 3] as [Float] {
                let input = plan.add(try makeTensor(.float, [value]))
                _ = plan.add(.model(model), inputs: [input], outputCount: 1)
            }
            queue.submit(queue.inbox.request(plan))
            try begun.wait()
            try queue.submit(10, to: model)
            try queue.submit(11, to: model)
            #expect(queue.inbox.ended == [.failed(.queueIsFull("CPU", requestLimit: 1))])
            mayEnd.open()
            try #expect(queue.inbox.wait(for: 3).dropFirst() == [.outputs([[1], [2], [3]]), .echo(10)])
            #expect(order.all == [1, 2, 3, 10])
        }
    }

    @Test func `counts what timed out, what was cancelled and what was batched`() throws {
        try withQueue { queue in
            let model = try queue.model(FakeModel(), batching: .init(size: 3))
            try queue.hold()
            try queue.submit(1, to: model, timeout: 5)
            try queue.submit(2, to: model).cancel()
            for value in 3...7 { try queue.submit(Float(value), to: model) }
            queue.clock.advance(milliseconds: 6)
            queue.release()
            let endings = try queue.inbox.wait(for: 8)
            #expect(endings.count { $0 == .timedOut } == 1 && endings.count { $0 == .cancelled } == 1)
            for value in 3...7 { #expect(endings.contains(.echo(Float(value)))) }
            var counters = DeviceQueue.Counters()
            (counters.timedOut, counters.cancelled) = (1, 1)
            // 3 is left of the first batch, and 7 takes one of the free places; 4, 5 and 6 fill another.
            (counters.batches, counters.batchedRequests) = (2, 5)
            #expect(queue.queue.counters == counters)
        }
    }

    @Test func `requests behind a run that goes on end in time`() throws {
        try withQueue { queue in
            let model = try queue.model(FakeModel())
            try queue.hold()
            try queue.submit(1, to: model, timeout: 5)
            let request = try queue.submit(2, to: model)
            try queue.submit(3, to: model)
            queue.queue.sweep()
            #expect(queue.inbox.ended == [])
            request.cancel()
            queue.clock.advance(milliseconds: 6)
            queue.queue.sweep()
            #expect(queue.inbox.ended == [.timedOut, .cancelled])
            #expect(queue.queue.depth.steps == 1)
            #expect(queue.queue.counters.timedOut == 1 && queue.queue.counters.cancelled == 1)
            queue.release()
            try #expect(queue.inbox.wait(for: 4) == [.timedOut, .cancelled, .echo(0), .echo(3)])
            #expect(model.statistics.snapshot.calls == 1)
        }
    }
}

// MARK: Batches of a queue

@Suite struct DeviceQueueBatchTests {
    @Test func `what waits is run together`() throws {
        let sizes = Recorded<Int>()
        try withQueue { queue in
            let model = try queue.model(
                FakeModel { inputs, _ in
                    sizes.append(inputs[0].batchSize)
                    return inputs
                }, batching: .init(size: 8))
            try queue.hold()
            for value in 1...20 { try queue.submit(Float(value), to: model) }
            queue.release()
            try #expect(queue.inbox.wait(for: 21) == (0...20).map { .echo(Float($0)) })
            #expect(sizes.all == [8, 8, 4])
            #expect(queue.queue.counters.batches == 3 && queue.queue.counters.batchedRequests == 20)
            #expect(model.statistics.snapshot.calls == 20 && model.statistics.snapshot.samples == 20)
        }
    }

    @Test func `a batch that waits for its minimum is run when it has it`() throws {
        try withQueue(threads: 2) { queue in
            let model = try queue.model(FakeModel(), batching: .init(size: 8, minimum: 3))
            for value in 1...3 { try queue.submit(Float(value), to: model) }
            try #expect(queue.inbox.wait(for: 3) == [.echo(1), .echo(2), .echo(3)])
        }
    }

    @Test func `a batch that has waited long enough is run without anybody's doing`() throws {
        try withQueue { queue in
            let model = try queue.model(FakeModel(), batching: .init(size: 8, minimum: 3, timeout: 2))
            try queue.submit(1, to: model)
            try queue.submit(2, to: model, timeout: 1)
            queue.clock.advance(milliseconds: 3)
            let endings = try queue.inbox.wait(for: 2)
            #expect(endings.contains(.echo(1)) && endings.contains(.timedOut))
        }
    }

    @Test func `batches that come to be due together are run side by side`() throws {
        let runs = [HeldRuns(), HeldRuns(), HeldRuns()]
        try withQueue(threads: 3) { queue in
            defer { for run in runs { run.mayEnd.open() } }
            for run in runs {
                try queue.submit(
                    1, to: queue.model(run.model(), batching: .init(size: 8, minimum: 2, timeout: 120_000)))
            }
            try queue.awaitIdleness(of: 3)
            #expect(queue.queue.depth.steps == 3)
            queue.clock.advance(milliseconds: 120_001)
            // One worker is woken, and has to wake the others.
            try queue.submit(1, to: queue.model(FakeModel()))
            for run in runs { try run.hasBegun.wait() }
        }
    }

    @Test func `many threads, many clients, time and departures lose nobody`() throws {
        try withQueue(threads: 3) { queue in
            let rules: [ModelDefinition.Batching] = [
                .init(size: 0), .init(size: 4), .init(size: 6, minimum: 4, timeout: 1),
            ]
            let models = try rules.map { try queue.model(FakeModel(), batching: $0) }
            let clients = (0..<3).map { seed in
                ThreadResult<Int>(name: "client \(seed)") { [models, queue] in
                    var random = SeededGenerator(seed)
                    for value in 0..<400 {
                        let timeout = random.isOne(in: 4) ? 1 : nil
                        let model = models[Int.random(in: 0..<models.count, using: &random)]
                        let request = try queue.submit(Float(value), to: model, timeout: timeout)
                        if random.isOne(in: 10) { request.cancel() }
                        if random.isOne(in: 5) { queue.clock.advance(microseconds: 500) }
                        if random.isOne(in: 20) { queue.queue.sweep() }
                    }
                    return 400
                }
            }
            for client in clients { try #expect(client.wait() == 400) }
            queue.clock.advance(milliseconds: 10)
            queue.queue.sweep()
            let endings = try queue.inbox.wait(for: 1_200)
            #expect(queue.queue.depth == (0, 0))
            let counters = queue.queue.counters
            #expect(endings.count { $0 == .timedOut } == counters.timedOut)
            #expect(endings.count { $0 == .cancelled } == counters.cancelled)
            let calls = models.reduce(0) { $0 + $1.statistics.snapshot.calls }
            #expect(calls + counters.timedOut + counters.cancelled == 1_200)
        }
    }
}

// MARK: Waking workers later

@Suite struct DeferredWakeUpTests {
    @Test(arguments: [1, 3])
    func `workers are woken for all that has come`(threads: Int) throws {
        var setup = EngineSetup { _ in FakeModel() }
        setup.configuration.threadsPerQueue = threads
        try setup.withEngine { fixture in
            let models = try ["CPU", "CPU:1"].map { try fixture.load($0, device: $0) }
            for round in 1...300 {
                fixture.engine.beginRound()
                for value in 0..<round % 5 { try fixture.submit(Float(value), to: models[value % 2]) }
                fixture.engine.endRound()
                try #expect(fixture.inbox.wait(for: round % 5).count == (1...round).reduce(0) { $0 + $1 % 5 })
            }
        }
    }

    @Test func `nobody is woken before, so that what comes in one round runs together`() throws {
        try withEngine { fixture in
            let model = try fixture.load(batching: .init(size: 100))
            let queue = try #require(model.readyQueue)
            for round in 1...20 {
                try queue.awaitIdleness(of: 1)
                fixture.engine.beginRound()
                for value in 1...5 { try fixture.submit(Float(value), to: model) }
                #expect(queue.depth.steps == 5 && queue.idleWorkerCount == 1)
                fixture.engine.endRound()
                try fixture.inbox.wait(for: 5)
                #expect(queue.counters.batches == round && queue.counters.batchedRequests == 5 * round)
            }
        }
    }

    @Test func `what comes between two rounds wakes a worker by itself`() throws {
        try withEngine { fixture in
            let model = try fixture.load()
            fixture.engine.beginRound()
            fixture.engine.endRound()
            try fixture.submit(1, to: model)
            try #expect(fixture.inbox.wait(for: 1) == [.echo(1)])
        }
    }

    @Test func `requests for a model that is loading need nobody to wake its workers`() throws {
        let mayLoad = Gate("models may load")
        let setup = EngineSetup { _ in
            mayLoad.pass()
            return FakeModel()
        }
        try setup.withEngine { fixture in
            fixture.engine.beginRound()
            let model = try fixture.store()
            for value in 1...5 { try fixture.submit(Float(value), to: model) }
            fixture.engine.endRound()
            mayLoad.open()
            try #expect(fixture.inbox.wait(for: 5) == (1...5).map { .echo(Float($0)) })
        }
    }

    @Test func `steps that follow need nobody either`() throws {
        try withEngine { fixture in
            let models = try ["CPU", "CPU:1", "GPU"].map { try fixture.load($0, device: $0) }
            fixture.engine.beginRound()
            var plan = RequestPlan()
            var slot = plan.add(try makeTensor(.float, [Float(4)]))
            for number in 0..<30 {
                slot = plan.add(.model(models[number % 3]), inputs: [slot], outputCount: 1).lowerBound
            }
            fixture.engine.submit(fixture.inbox.request(plan))
            fixture.engine.endRound()
            try #expect(fixture.inbox.wait(for: 1) == [.outputs(Array(repeating: [4], count: 30))])
        }
    }
}
