import Glibc
import Inference
import Synchronization
import Tensors
import TestSupport
import Testing

/// A model's engine part may take long to free: that must never happen where a client is served.
@Suite struct ModelReleaseTests {
    @Test func `the last reference to a model gone, its engine part is released in another thread`() throws {
        let releases = Releases()
        let setup = EngineSetup { _ in FakeModel(onRelease: releases.record) }
        try setup.withEngine { fixture in
            var model: Model? = try fixture.load()
            #expect(model?.phase.isReady == true)
            model = nil
            try releases.first.wait()
            #expect(releases.threads.count == 1)
            #expect(releases.threads.contains(pthread_self()) == false)
            #expect(fixture.engine.directory.sorted(.model).isEmpty)
        }
    }

    @Test func `no engine part is released in the thread that lets go of many models`() throws {
        let releases = Releases()
        let setup = EngineSetup { _ in FakeModel(onRelease: releases.record) }
        try setup.withEngine { fixture in
            for _ in 0..<20 {
                var models = try (0..<500).map { try fixture.store("\($0)") }
                _ = try fixture.load("last")
                models = []
                #expect(models.isEmpty)
            }
            let areReclaimed = Gate("all models are reclaimed")
            fixture.engine.whenReclaimed { areReclaimed.open() }
            try areReclaimed.wait()
            #expect(releases.threads.count { $0 == pthread_self() } == 0)
            #expect(releases.threads.count == 20 * 501)
        }
    }

    @Test func `a replaced model serves the requests it has, and goes after the last`() throws {
        let releases = Releases()
        let held = HeldRuns()
        let setup = EngineSetup { definition in
            definition.inputNames == ["old"] ? held.model(onRelease: releases.record) : FakeModel()
        }
        try setup.withEngine { fixture in
            defer { held.mayEnd.open() }
            let hasLoaded = Gate("the old model is loaded")
            var old: Model? = try fixture.store(inputNames: ["old"]) { hasLoaded.open() }
            try hasLoaded.wait()
            for value in 1...3 { try fixture.submit(Float(value), to: #require(old)) }
            try held.hasBegun.wait()
            let new = try fixture.load()
            old = nil
            #expect(releases.threads.isEmpty)
            held.mayEnd.open()
            try #expect(fixture.inbox.wait(for: 3) == [.echo(1), .echo(2), .echo(3)])
            try releases.first.wait()
            #expect(fixture.engine.directory.sorted(.model).count == 1)
            #expect(fixture.engine.directory.entry(for: Array("m".utf8))?.statistics === new.statistics)
        }
    }

    @Test func `a model that is deleted while it is loading is released too`() throws {
        let releases = Releases()
        let (isLoading, mayLoad) = (Gate("a model is loading"), Gate("models may load"))
        let setup = EngineSetup { _ in
            isLoading.open()
            mayLoad.pass()
            return FakeModel(onRelease: releases.record)
        }
        try setup.withEngine { fixture in
            var model: Model? = try fixture.store()
            try isLoading.wait()
            #expect(model?.phase.isLoading == true)
            model = nil
            mayLoad.open()
            try releases.first.wait()
        }
    }
}

/// The threads in which models were released.
private final class Releases: Sendable {
    let first = Gate("a model is released")
    private let recorded = Mutex<[pthread_t]>([])

    var threads: [pthread_t] { recorded.withLock { $0 } }

    /// To be called by the model that goes.
    var record: @Sendable () -> Void {
        { [self] in
            recorded.withLock { $0.append(pthread_self()) }
            first.open()
        }
    }
}
