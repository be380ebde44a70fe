import Inference
import Tensors
import TestSupport
import Testing

@Suite struct ModelLoadingTests {
    private static let unparsable = InferenceError("cannot be parsed")

    @Test func `a model is loading until it is ready`() throws {
        let mayLoad = Gate("models may load")
        let setup = EngineSetup { _ in FakeModel.when(mayLoad) }
        try setup.withEngine { fixture in
            let hasLoaded = Gate("the model is loaded")
            let model = try fixture.store(inputNames: ["from the client"]) { hasLoaded.open() }
            #expect(model.phase.isLoading)
            #expect(model.inputNames == ["from the client"])
            #expect(!hasLoaded.isOpen)
            mayLoad.open()
            try hasLoaded.wait()
            #expect(model.phase.isReady)
            #expect(model.inputNames == ["x"])
            #expect(model.outputNames == ["y"])
        }
    }

    @Test func `a model that cannot be loaded is broken, with the reason`() throws {
        let setup = EngineSetup { _ throws(InferenceError) in throw Self.unparsable }
        try setup.withEngine { fixture in
            let model = try fixture.load()
            #expect(model.phase.error == Self.unparsable)
            try fixture.submit(1, to: model)
            try #expect(fixture.inbox.wait(for: 1) == [.failed(.isBroken(.model, "cannot be parsed"))])
        }
    }

    @Test func `a model is warmed up before it is ready`() throws {
        let hasWarmedUp = Gate("the model is warmed up")
        let setup = EngineSetup { _ in FakeModel(onWarmUp: { hasWarmedUp.open() }) }
        try setup.withEngine { fixture in
            let model = try fixture.load()
            #expect(model.phase.isReady)
            #expect(hasWarmedUp.isOpen)
        }
    }

    @Test func `requests that come while a model loads run afterwards, in order`() throws {
        let mayLoad = Gate("models may load")
        let setup = EngineSetup { _ in FakeModel.when(mayLoad) }
        try setup.withEngine { fixture in
            let model = try fixture.store()
            for value in 1...20 { try fixture.submit(Float(value), to: model) }
            #expect(fixture.inbox.ended == [])
            mayLoad.open()
            try #expect(fixture.inbox.wait(for: 20) == (1...20).map { .echo(Float($0)) })
        }
    }

    @Test func `requests that come while a model loads fail with it`() throws {
        let mayLoad = Gate("models may load")
        let setup = EngineSetup { _ throws(InferenceError) in
            mayLoad.pass()
            throw Self.unparsable
        }
        try setup.withEngine { fixture in
            let model = try fixture.store()
            try fixture.submit(1, to: model)
            try fixture.submit(2, to: model)
            mayLoad.open()
            let failure = Inbox.Ending.failed(.isBroken(.model, "cannot be parsed"))
            try #expect(fixture.inbox.wait(for: 2) == [failure, failure])
        }
    }

    @Test func `as many requests may wait for a loading model as may wait in a queue`() throws {
        let mayLoad = Gate("models may load")
        var setup = EngineSetup { _ in FakeModel.when(mayLoad) }
        setup.configuration.queueLimit = 2
        try setup.withEngine { fixture in
            defer { mayLoad.open() }
            let model = try fixture.store()
            for value in 1...3 { try fixture.submit(Float(value), to: model) }
            #expect(fixture.inbox.ended == [.failed(.queueIsFull("CPU", requestLimit: 2))])
            mayLoad.open()
            try #expect(fixture.inbox.wait(for: 3).dropFirst() == [.echo(1), .echo(2)])
        }
    }

    @Test func `a model that is deleted before its turn is not loaded`() throws {
        let mayLoad = Gate("models may load")
        let setup = EngineSetup { _ in FakeModel.when(mayLoad) }
        try setup.withEngine { fixture in
            defer { mayLoad.open() }
            let first = try fixture.store("first")
            var second: Model? = try fixture.store("second")
            #expect(second?.phase.isLoading == true)
            second = nil
            #expect(fixture.engine.directory.entry(for: Array("second".utf8)) == nil)
            mayLoad.open()
            let third = try fixture.load("third")
            #expect(first.phase.isReady && third.phase.isReady)
            #expect(fixture.loads == ["first", "third"])
        }
    }

    @Test func `a request keeps a deleted model until it has run`() throws {
        let mayLoad = Gate("models may load")
        let setup = EngineSetup { _ in FakeModel.when(mayLoad) }
        try setup.withEngine { fixture in
            var model: Model? = try fixture.store()
            try fixture.submit(7, to: #require(model))
            model = nil
            mayLoad.open()
            try #expect(fixture.inbox.wait(for: 1) == [.echo(7)])
        }
    }
}

extension FakeModel {
    /// A model, once `gate` is open: for a loader thread to wait.
    fileprivate static func when(_ gate: Gate) -> FakeModel {
        gate.pass()
        return FakeModel()
    }
}
