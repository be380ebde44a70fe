import Inference
import Tensors
import TestSupport
import Testing

@Suite struct ModelExecutionTests {
    @Test(arguments: [0, 2, 3])
    func `another number of inputs than the model has is refused`(count: Int) throws {
        try withEngine { fixture in
            let model = try fixture.load()
            try fixture.submit(1, to: model, inputs: count)
            try #expect(fixture.inbox.wait(for: 1) == [.failed(.wrongInputCount)])
            #expect(model.statistics.snapshot.errors == 1)
        }
    }

    @Test(arguments: [0, 2])
    func `another number of outputs than the model has is refused`(count: Int) throws {
        try withEngine { fixture in
            try fixture.submit(1, to: try fixture.load(), outputs: count)
            try #expect(fixture.inbox.wait(for: 1) == [.failed(.wrongOutputCount)])
        }
    }

    @Test(arguments: [0, 2])
    func `another number of outputs than the engine promised is an error`(count: Int) throws {
        let setup = EngineSetup { _ in FakeModel { _, _ in Array(repeating: nil, count: count) } }
        try setup.withEngine { fixture in
            try fixture.submit(1, to: try fixture.load())
            try #expect(fixture.inbox.wait(for: 1) == [.failed(.unexpectedOutputCount)])
        }
    }

    @Test func `counts are checked also for requests that came while the model loaded`() throws {
        let mayLoad = Gate("models may load")
        let setup = EngineSetup { _ in
            mayLoad.pass()
            return FakeModel()
        }
        try setup.withEngine { fixture in
            let model = try fixture.store()
            try fixture.submit(1, to: model, inputs: 2)
            mayLoad.open()
            try #expect(fixture.inbox.wait(for: 1) == [.failed(.wrongInputCount)])
        }
    }

    @Test func `requests beyond the queue's limit are refused at once`() throws {
        let held = HeldRuns()
        var setup = EngineSetup { _ in held.model() }
        setup.configuration.queueLimit = 1
        try setup.withEngine { fixture in
            defer { held.mayEnd.open() }
            let model = try fixture.load()
            try fixture.submit(1, to: model)
            try held.hasBegun.wait()
            try fixture.submit(2, to: model)
            try fixture.submit(3, to: model)
            #expect(fixture.inbox.ended == [.failed(.queueIsFull("CPU", requestLimit: 1))])
            held.mayEnd.open()
            try #expect(fixture.inbox.wait(for: 3).dropFirst() == [.echo(1), .echo(2)])
        }
    }

    @Test func `devices do not wait for each other`() throws {
        let held = HeldRuns()
        let setup = EngineSetup { definition in
            definition.device.queueName == "CPU" ? held.model() : FakeModel()
        }
        try setup.withEngine { fixture in
            defer { held.mayEnd.open() }
            let (slow, other) = (try fixture.load("slow"), try fixture.load("other", device: "cpu:1"))
            try fixture.submit(1, to: slow)
            try held.hasBegun.wait()
            try fixture.submit(2, to: other)
            try #expect(fixture.inbox.wait(for: 1) == [.echo(2)])
            held.mayEnd.open()
            try fixture.inbox.wait(for: 1)
        }
    }

    @Test func `a run is interrupted only when it has lasted longer than the run timeout`() throws {
        let endless = EndlessRun()
        var setup = EngineSetup { _ in endless.model }
        setup.configuration.runTimeout = 100
        try setup.withEngine { fixture in
            try fixture.submit(1, to: try fixture.load())
            try endless.hasBegun.wait()
            fixture.clock.advance(milliseconds: 100)
            fixture.engine.endOverdueRuns()
            #expect(endless.interruptCount == 0)
            fixture.clock.advance(milliseconds: 1)
            fixture.engine.endOverdueRuns()
            try #expect(fixture.inbox.wait(for: 1) == [.failed(InferenceError("interrupted"))])
        }
    }
}
