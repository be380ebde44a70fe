import Tensors
import TestSupport
import Testing

@testable import Inference

@Suite struct DeviceQueueTests {
    @Test func `runs a request and tells how it ended`() throws {
        try withQueue { queue in
            try queue.submit(5, to: queue.model(FakeModel()))
            try #expect(queue.inbox.wait(for: 1) == [.echo(5)])
        }
    }

    @Test func `runs requests in the order in which they came`() throws {
        try withQueue { queue in
            let model = try queue.model(FakeModel())
            try queue.hold()
            for value in 1...50 { try queue.submit(Float(value), to: model) }
            queue.release()
            try #expect(queue.inbox.wait(for: 51) == (0...50).map { .echo(Float($0)) })
        }
    }

    @Test func `runs as many requests at a time as it has threads`() throws {
        let runs = [HeldRuns(), HeldRuns(), HeldRuns()]
        try withQueue(threads: 3) { queue in
            defer { for run in runs { run.mayEnd.open() } }
            for (value, run) in runs.enumerated() { try queue.submit(Float(value), to: queue.model(run.model())) }
            for run in runs { try run.hasBegun.wait() }
            #expect(queue.queue.depth == (0, 0))
            #expect(queue.inbox.ended == [])
        }
    }

    @Test func `refuses requests while as many wait as the limit says`() throws {
        try withQueue(limits: .init(requests: 3)) { queue in
            let model = try queue.model(FakeModel())
            try queue.hold()
            for value in 1...4 { try queue.submit(Float(value), to: model) }
            #expect(queue.queue.depth.steps == 3)
            #expect(queue.inbox.ended == [.failed(.queueIsFull("CPU", requestLimit: 3))])
            #expect(queue.queue.counters.refused == 1)
            queue.release()
            try #expect(queue.inbox.wait(for: 5).dropFirst() == [.echo(0), .echo(1), .echo(2), .echo(3)])
            try queue.submit(5, to: model)
            try #expect(queue.inbox.wait(for: 1).last == .echo(5))
            #expect(model.statistics.snapshot.calls == 4)
        }
    }

    @Test func `a failed run is told and counted`() throws {
        try withQueue { queue in
            let model = try queue.model(
                FakeModel { _, _ throws(InferenceError) in throw InferenceError("no such operator") })
            try queue.submit(1, to: model)
            try #expect(queue.inbox.wait(for: 1) == [.failed(InferenceError("no such operator"))])
            #expect(model.statistics.snapshot == .init(duration: 0, samples: 0, calls: 1, errors: 1))
        }
    }

    @Test func `a run is counted with the time it took and the rows it made`() throws {
        try withQueue { queue in
            let clock = queue.clock
            let model = try queue.model(
                FakeModel { _, _ in
                    clock.advance(microseconds: 2_500)
                    return [try? Tensor(zeros: .float, [7, 2])]
                })
            try queue.submit(1, to: model)
            try queue.inbox.wait(for: 1)
            #expect(model.statistics.snapshot == .init(duration: 2_500, samples: 7, calls: 1, errors: 0))
        }
    }

    @Test func `an output without tensor form counts no rows`() throws {
        try withQueue { queue in
            let model = try queue.model(FakeModel { _, _ in [nil] })
            try queue.submit(1, to: model)
            try #expect(queue.inbox.wait(for: 1) == [.outputs([nil])])
            #expect(model.statistics.snapshot.samples == 0)
        }
    }
}

// MARK: Timeouts

@Suite struct DeviceQueueTimeoutTests {
    @Test(arguments: [(10, 11, true), (10, 10, false), (10, 0, false), (1, 2, true), (nil, 1_000_000, false)])
    func `a request times out when it has waited longer than it may`(
        timeout: Int?, milliseconds: Int, timesOut: Bool
    ) throws {
        try withQueue { queue in
            let model = try queue.model(FakeModel())
            try queue.hold()
            try queue.submit(1, to: model, timeout: timeout)
            queue.clock.advance(milliseconds: milliseconds)
            queue.release()
            try #expect(queue.inbox.wait(for: 2) == [.echo(0), timesOut ? .timedOut : .echo(1)])
            #expect(model.statistics.snapshot.calls == (timesOut ? 0 : 1))
        }
    }

    @Test func `the time of the run itself does not count`() throws {
        try withQueue { queue in
            let clock = queue.clock
            let model = try queue.model(
                FakeModel { inputs, _ in
                    clock.advance(milliseconds: 1_000)
                    return inputs
                })
            try queue.submit(1, to: model, timeout: 1)
            try #expect(queue.inbox.wait(for: 1) == [.echo(1)])
        }
    }

    @Test func `a request that timed out does not stop those behind it`() throws {
        try withQueue { queue in
            let model = try queue.model(FakeModel())
            try queue.hold()
            try queue.submit(1, to: model, timeout: 5)
            try queue.submit(2, to: model)
            queue.clock.advance(milliseconds: 6)
            queue.release()
            try #expect(queue.inbox.wait(for: 3) == [.echo(0), .timedOut, .echo(2)])
        }
    }
}

// MARK: Stopping

@Suite struct DeviceQueueStopTests {
    @Test func `stopping an idle queue joins all threads`() throws {
        let queue = try QueueFixture(threads: 3)
        #expect(queue.stop())
        #expect(queue.queue.processorTimes == [nil, nil, nil])
    }

    @Test func `a run is interrupted, and what waits behind it is not started`() throws {
        let queue = try QueueFixture(threads: 1)
        let endless = EndlessRun()
        let hasRun = Gate("the second request has run")
        try queue.submit(1, to: queue.model(endless.model))
        try endless.hasBegun.wait()
        try queue.submit(
            2,
            to: queue.model(
                FakeModel { inputs, _ in
                    hasRun.open()
                    return inputs
                }))
        #expect(queue.stop())
        #expect(queue.inbox.ended == [.failed(InferenceError("interrupted"))])
        #expect(!hasRun.isOpen)
    }

    @Test func `nothing is taken afterwards`() throws {
        let queue = try QueueFixture(threads: 1)
        #expect(queue.stop())
        try queue.submit(1, to: queue.model(FakeModel()))
        #expect(queue.inbox.ended == [.failed(.noWorkers("CPU"))])
    }

    @Test func `a run that cannot be interrupted is not waited for for ever`() throws {
        let queue = try QueueFixture(threads: 1)
        try queue.hold()
        #expect(queue.stop(withinSeconds: 0) == false)
        queue.release()
        try queue.inbox.wait(for: 1)
        #expect(queue.stop())
    }
}
