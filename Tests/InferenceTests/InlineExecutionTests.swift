import Tensors
import TestSupport
import Testing

@testable import Inference

/// What the main thread runs itself.
@Suite struct InlineExecutionTests {
    @Test func `a model is run here once its cost is known for these shapes`() throws {
        try withInlineEngine { fixture, model in
            for _ in 1...RunCosts.provingRuns {
                #expect(!fixture.accepts(model))
                try fixture.runInQueue(model)
            }
            #expect(fixture.accepts(model))
            #expect(!fixture.accepts(model, rows: 2))
        }
    }

    @Test func `the outputs are there when the run returns, and the run is counted`() throws {
        try withInlineEngine(cost: 20) { fixture, model in
            try fixture.prove(model)
            let calls = model.statistics.snapshot.calls
            var plan = try fixture.plan(model)
            let outcome = try #require(fixture.engine.carryOutInline(&plan))
            #expect(outcome.firstError == nil && outcome.tensors.count == 2)
            #expect(outcome.tensors[1]?.shape == outcome.tensors[0]?.shape)
            #expect(model.statistics.snapshot.calls == calls + 1)
            #expect(model.statistics.snapshot.duration == 20 * (calls + 1))
        }
    }

    @Test func `all runs of a round share a budget`() throws {
        try withInlineEngine(cost: 30, budget: 70) { fixture, model in
            try fixture.prove(model)
            fixture.engine.endRound()
            for _ in 1...2 {
                #expect(fixture.accepts(model))
                try fixture.runHere(model)
            }
            // 10 microseconds are left.
            #expect(!fixture.accepts(model))
            fixture.engine.endRound()
            #expect(fixture.accepts(model))
        }
    }

    @Test(arguments: [(50, true), (51, false), (5_000, false)])
    func `what costs as much as handing it over is handed over`(microseconds: Int, isAccepted: Bool) throws {
        try withInlineEngine(cost: microseconds, budget: 100_000) { fixture, model in
            try fixture.prove(model)
            #expect(fixture.accepts(model) == isAccepted)
        }
    }

    @Test func `nothing is run here without a budget, or when a model's cost may surprise`() throws {
        try withInlineEngine(budget: 0) { fixture, model in
            try fixture.prove(model)
            #expect(!fixture.accepts(model))
        }
        try withInlineEngine(followsFromShapes: false) { fixture, model in
            try fixture.prove(model)
            #expect(!fixture.accepts(model))
        }
    }

    @Test func `a short run does not wait for those in the queue`() throws {
        try withInlineEngine { fixture, model in
            try fixture.prove(model)
            fixture.engine.beginRound()
            try fixture.submit(1, to: model)
            #expect(fixture.accepts(model))
            fixture.engine.endRound()
            try fixture.inbox.wait(for: 1)
        }
    }

    @Test func `models that batch, and plans of several steps, go to the queue`() throws {
        try withInlineEngine { fixture, model in
            try fixture.prove(model)
            var plan = try fixture.plan(model)
            _ = plan.add(.model(model), inputs: [1], outputCount: 1)
            #expect(!fixture.engine.acceptsInline(plan))
            let batching = try fixture.load("batching", batching: .init(size: 4))
            try fixture.prove(batching)
            #expect(!fixture.accepts(batching))
        }
    }

    @Test func `batches that have gathered in a round are run at its end, and never before their costs are known`()
        throws
    {
        try withInlineEngine { fixture, _ in
            let model = try fixture.load("batching", batching: .init(size: 4))
            let queue = try #require(model.readyQueue)
            func round() throws {
                fixture.engine.beginRound()
                for _ in 1...4 { try fixture.submit(1, to: model) }
                fixture.engine.endRound()
            }
            for _ in 1...RunCosts.provingRuns {
                try round()
                try fixture.inbox.wait(for: 4)
                try queue.awaitIdleness(of: 1)
            }
            let ended = fixture.inbox.ended.count
            try round()
            // Nobody has waited: the requests have ended in this thread.
            #expect(fixture.inbox.ended.count == ended + 4)
            #expect(queue.counters.batchedRequests == 4 * (RunCosts.provingRuns + 1))
        }
    }

    @Test func `a run that takes much longer than ever before costs the trust`() throws {
        let costs = RunCosts()
        for _ in 1...RunCosts.provingRuns { costs.record(20_000, 7) }
        #expect(costs.estimate(7) == 20_000)
        costs.distrust(7)
        for _ in 1...6 * RunCosts.provingRuns { costs.record(20_000, 7) }
        #expect(costs.estimate(7) == nil)
        for _ in 1...8 * RunCosts.provingRuns { costs.record(20_000, 7) }
        #expect(costs.estimate(7) == 20_000)
    }

    @Test func `other shapes in the same place start anew`() {
        let costs = RunCosts()
        for _ in 1...RunCosts.provingRuns { costs.record(1_000, 3) }
        costs.record(9_000, 11)
        #expect(costs.estimate(3) == nil && costs.estimate(11) == nil)
    }
}

// MARK: Fixture

extension EngineFixture {
    fileprivate func plan(_ model: Model, rows: Int = 1) throws -> RequestPlan {
        let input = try makeTensor(.float, Array(repeating: Float(1), count: rows))
        return RequestPlan(.model(model), inputs: [input], outputCount: 1)
    }

    fileprivate func accepts(_ model: Model, rows: Int = 1) -> Bool {
        (try? plan(model, rows: rows)).map { engine.acceptsInline($0) } ?? false
    }

    fileprivate func runHere(_ model: Model) throws {
        var plan = try plan(model)
        _ = try #require(engine.carryOutInline(&plan))
    }

    /// Has a worker run the model, and waits until the worker has nothing to do.
    fileprivate func runInQueue(_ model: Model) throws {
        try submit(1, to: model)
        try inbox.wait(for: 1)
        try #require(model.readyQueue).awaitIdleness(of: 1)
    }

    fileprivate func prove(_ model: Model) throws {
        for _ in 1...RunCosts.provingRuns { try runInQueue(model) }
    }
}

/// - Parameters:
///   - cost: of a run, in microseconds of the fixture's clock.
///   - budget: microseconds per round.
private func withInlineEngine(
    cost: Int = 0, budget: Int = 250, followsFromShapes: Bool = true,
    _ body: (EngineFixture, Model) throws -> Void
) throws {
    let clock = ClockHolder()
    var setup = EngineSetup { _ in
        FakeModel(
            costFollowsFromShapes: followsFromShapes,
            onRun: { inputs, _ in
                clock.advance(microseconds: cost)
                return inputs
            })
    }
    setup.configuration.inlineBudget = budget
    try setup.withEngine { fixture in
        clock.hold(fixture.clock)
        try body(fixture, try fixture.load())
    }
}

/// The fixture's clock, for models that are made before it.
private final class ClockHolder: @unchecked Sendable {
    private var clock: ManualClock?

    func hold(_ clock: ManualClock) {
        self.clock = clock
    }

    func advance(microseconds: Int) {
        clock?.advance(microseconds: microseconds)
    }
}
