import TestSupport
import Testing

@testable import Inference

@Suite struct ArtifactDirectoryTests {
    private let directory = ArtifactDirectory()

    private func makeModel(_ key: String, tag: String = "") throws -> Model {
        Model(try .fake(key: key, tag: tag), retire: { _ in })
    }

    private func makeScript(_ key: String, tag: String = "") throws -> Script {
        Script(try .fake(key: key, tag: tag), retire: { _ in })
    }

    private func retired(_ artifact: any Artifact) -> RetiredArtifact {
        RetiredArtifact(
            key: artifact.identity.key, object: ObjectIdentifier(artifact),
            progress: ObjectIdentifier(artifact.progress), loaded: nil)
    }

    private func tags(_ kind: ArtifactIdentity.Kind) -> [String] {
        directory.sorted(kind).map { String(decoding: $0.identity.tag, as: UTF8.self) }
    }

    private func tag(of key: String) -> String? {
        directory.entry(for: Array(key.utf8)).map { String(decoding: $0.identity.tag, as: UTF8.self) }
    }

    @Test func `lists models in ascending order of their keys' bytes`() throws {
        let models = try ["b", "a", "", "B", "aa", "é", "a\0", "z"].map { try makeModel($0) }
        for model in models { directory.add(model) }
        let keys = directory.sorted(.model).map { String(decoding: $0.identity.key, as: UTF8.self) }
        #expect(keys == ["", "B", "a", "a\0", "aa", "b", "z", "é"])
    }

    @Test func `finds a model by its key`() throws {
        let model = try makeModel("m", tag: "v1")
        directory.add(model)
        #expect(tag(of: "m") == "v1")
        #expect(tag(of: "M") == nil)
        #expect(directory.entry(for: Array("m".utf8))?.statistics === model.statistics)
    }

    @Test func `lists the later of two models with one key`() throws {
        let (first, second) = (try makeModel("m", tag: "v1"), try makeModel("m", tag: "v2"))
        directory.add(first)
        directory.add(second)
        #expect(directory.sorted(.model).count == 1)
        #expect(tag(of: "m") == "v2")
    }

    @Test func `forgets a model that is removed`() throws {
        let model = try makeModel("m")
        directory.add(model)
        directory.remove(retired(model))
        #expect(directory.sorted(.model).isEmpty)
    }

    @Test func `keeps the later model when the earlier one goes`() throws {
        let (first, second) = (try makeModel("m", tag: "v1"), try makeModel("m", tag: "v2"))
        directory.add(first)
        directory.add(second)
        directory.remove(retired(first))
        #expect(tag(of: "m") == "v2")
    }

    @Test func `does not keep a model alive`() throws {
        let isReleased = Gate("the model is released")
        var model: Model? = Model(try .fake(), retire: { _ in isReleased.open() })
        if let model { directory.add(model) }
        #expect(directory.phaseCounts(of: .model) == phases(loading: 1))
        model = nil
        #expect(isReleased.isOpen)
        #expect(directory.phaseCounts(of: .model) == phases())
    }

    @Test func `counts the models in each phase`() throws {
        let queue = try #require(DeviceQueue(name: "CPU", threads: 1, limits: .init(), clock: .system))
        let models = try (0..<6).map { try makeModel("\($0)") }
        for model in models { directory.add(model) }
        for model in models[..<3] { _ = model.readiness.finish(.success((FakeModel(), queue))) }
        for model in models[3..<5] { _ = model.readiness.finish(.failure(.couldNotLoadBackend)) }
        #expect(directory.phaseCounts(of: .model) == phases(loading: 1, ready: 3, broken: 2))
        #expect(queue.stop(withinSeconds: Gate.patience))
    }

    @Test func `lists models and scripts apart`() throws {
        let artifacts: [any Artifact] = [
            try makeModel("b", tag: "model b"), try makeScript("c", tag: "script c"),
            try makeScript("a", tag: "script a"),
        ]
        for artifact in artifacts { directory.add(artifact) }
        #expect(tags(.model) == ["model b"])
        #expect(tags(.script) == ["script a", "script c"])
        #expect(directory.phaseCounts(of: .model) == phases(loading: 1))
        #expect(directory.phaseCounts(of: .script) == phases(loading: 2))
    }

    @Test func `of a model and a script under one name the later is listed`() throws {
        let (model, script) = (try makeModel("x", tag: "model"), try makeScript("x", tag: "script"))
        directory.add(model)
        directory.add(script)
        #expect(tags(.model) == [])
        #expect(tags(.script) == ["script"])
        #expect(directory.entry(for: Array("x".utf8))?.identity.kind == .script)
        directory.add(model)
        #expect(tags(.model) == ["model"])
        #expect(tags(.script) == [])
    }

    @Test func `a script stays when the model that had its name goes, and goes itself`() throws {
        let (model, script) = (try makeModel("x", tag: "model"), try makeScript("x", tag: "script"))
        directory.add(model)
        directory.add(script)
        directory.remove(retired(model))
        #expect(tag(of: "x") == "script")
        directory.remove(retired(script))
        #expect(tag(of: "x") == nil)
    }

    @Test func `counts the scripts in each phase`() throws {
        let queue = try #require(DeviceQueue(name: "CPU", threads: 1, limits: .init(), clock: .system))
        defer { #expect(queue.stop(withinSeconds: Gate.patience)) }
        let scripts = try (0..<4).map { try makeScript("\($0)") }
        for script in scripts { directory.add(script) }
        for script in scripts[..<2] { _ = script.readiness.finish(.success((FakeScript(), queue))) }
        _ = scripts[2].readiness.finish(.failure(.couldNotLoadBackend))
        #expect(directory.phaseCounts(of: .script) == phases(loading: 1, ready: 2, broken: 1))
        scripts[0].quarantine()
        #expect(directory.phaseCounts(of: .script) == phases(loading: 1, ready: 1, broken: 2))
        #expect(directory.phaseCounts(of: .model) == phases())
    }

    private func phases(loading: Int = 0, ready: Int = 0, broken: Int = 0) -> ArtifactDirectory.PhaseCounts {
        var counts = ArtifactDirectory.PhaseCounts()
        (counts.loading, counts.ready, counts.broken) = (loading, ready, broken)
        return counts
    }
}
