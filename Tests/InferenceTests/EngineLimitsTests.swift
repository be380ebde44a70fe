import Inference
import TestSupport
import Testing

@Suite struct EngineLimitsTests {
    @Test func `a model on one device too many is broken`() throws {
        var setup = EngineSetup()
        setup.configuration.deviceLimit = 3
        try setup.withEngine { fixture in
            try #expect(fixture.load("a", device: "CPU:1").phase.isReady)
            try #expect(fixture.load("b", device: "CPU:2").phase.isReady)
            try #expect(fixture.load("c", device: "CPU:3").phase.error == .couldNotCreateQueue)
            try #expect(fixture.load("d", device: "cpu:2").phase.isReady)
            #expect(fixture.engine.queueStatus.map(\.name) == ["CPU", "CPU:1", "CPU:2"])
        }
    }

    @Test func `no model is accepted while too many wait to be loaded`() throws {
        let (isLoading, mayLoad) = (Gate("a model is loading"), Gate("models may load"))
        var setup = EngineSetup { _ in
            isLoading.open()
            mayLoad.pass()
            return FakeModel()
        }
        setup.configuration.loadLimit = 2
        try setup.withEngine { fixture in
            defer { mayLoad.open() }
            let loading = try fixture.store("loading")
            try isLoading.wait()
            let first = try fixture.store("first")
            try fixture.engine.checkCanLoad(first.identity)
            let second = try fixture.store("second")
            #expect(fixture.engine.pendingLoads == 2)
            #expect(throws: InferenceError.tooManyLoads(limit: 2)) {
                try fixture.engine.checkCanLoad(first.identity)
            }
            withExtendedLifetime((loading, first, second)) {}
        }
    }

    @Test func `a model for an engine that is not there is refused at once`() throws {
        try withEngine { fixture in
            let definition = try ModelDefinition.fake(backend: fixture.backend)
            #expect(throws: InferenceError.couldNotLoadBackend) { try fixture.engine.checkCanLoad(definition.identity) }
        }
    }

    @Test func `queues are shown with the CPU's first`() throws {
        var setup = EngineSetup()
        setup.configuration.threadsPerQueue = 2
        try setup.withEngine { fixture in
            for device in ["gpu", "CPU:1", "CPU:0"] { _ = try fixture.load(device, device: device) }
            let status = fixture.engine.queueStatus
            #expect(status.map(\.name) == ["CPU", "CPU:0", "CPU:1", "GPU"])
            #expect(status.allSatisfy { $0.waitingRequests == 0 && $0.processorTimes.count == 2 })
            #expect(fixture.engine.workerCount == 8)
        }
    }

    @Test func `stopping ends runs, loads and all threads`() throws {
        let endless = EndlessRun()
        var configuration = InferenceEngine.Configuration()
        configuration.threadsPerQueue = 2
        let fixture = try EngineFixture(configuration) { _ in endless.model }
        try fixture.submit(1, to: fixture.load())
        try endless.hasBegun.wait()
        #expect(fixture.engine.stop())
        #expect(fixture.inbox.ended == [.failed(InferenceError("interrupted"))])
    }
}
