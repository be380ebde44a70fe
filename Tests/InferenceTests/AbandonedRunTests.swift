import TestSupport
import Testing

@testable import Inference

/// Runs that go on although they have been interrupted.
@Suite struct AbandonedRunTests {
    private func withStuckRun(_ body: (EngineFixture, Model, StuckRun) throws -> Void) throws {
        let stuck = StuckRun()
        var setup = EngineSetup { definition in definition.key == Array("stuck".utf8) ? stuck.model : FakeModel() }
        setup.configuration.runTimeout = 100
        try setup.withEngine { fixture in
            defer { stuck.mayEnd.open() }
            let model = try fixture.load("stuck")
            try fixture.submit(1, to: model)
            try stuck.hasBegun.wait()
            try body(fixture, model, stuck)
        }
    }

    @Test func `a run is given up when it has lasted twice as long as it may`() throws {
        try withStuckRun { fixture, model, _ in
            fixture.clock.advance(milliseconds: 200)
            fixture.engine.endOverdueRuns()
            #expect(fixture.inbox.ended == [])
            fixture.clock.advance(milliseconds: 1)
            fixture.engine.endOverdueRuns()
            #expect(fixture.inbox.ended == [.failed(.runAbandoned)])
            #expect(model.statistics.snapshot == .init(duration: 0, samples: 0, calls: 1, errors: 1))
        }
    }

    @Test func `another thread takes the place of the lost one`() throws {
        try withStuckRun { fixture, _, _ in
            let other = try fixture.load("other")
            try fixture.submit(2, to: other)
            fixture.clock.advance(milliseconds: 201)
            fixture.engine.endOverdueRuns()
            // In either order.
            let endings = try fixture.inbox.wait(for: 2)
            #expect(endings.contains(.failed(.runAbandoned)) && endings.contains(.echo(2)))
            #expect(fixture.engine.queueStatus.map(\.processorTimes.count) == [1])
        }
    }

    @Test func `the model is not run again`() throws {
        try withStuckRun { fixture, model, _ in
            fixture.clock.advance(milliseconds: 201)
            fixture.engine.endOverdueRuns()
            #expect(model.phase.error == .runDidNotEnd)
            #expect(model.inputNames == ["x"])
            try fixture.submit(2, to: model)
            #expect(fixture.inbox.ended.last == .failed(.isBroken(.model, "a run of it did not end")))
        }
    }

    @Test func `what comes of the run later goes nowhere`() throws {
        try withStuckRun { fixture, model, stuck in
            fixture.clock.advance(milliseconds: 201)
            fixture.engine.endOverdueRuns()
            stuck.mayEnd.open()
            #expect(fixture.engine.stop())
            #expect(fixture.inbox.ended == [.failed(.runAbandoned)])
            #expect(model.statistics.snapshot.calls == 1)
        }
    }
}
