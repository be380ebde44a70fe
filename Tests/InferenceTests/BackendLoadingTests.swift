import Foundation
import Synchronization
import TestSupport
import Testing

@testable import Inference

/// From where engine libraries are loaded: what a client names must lie in the trusted folder, links resolved.
@Suite struct TrustedBackendsTests {
    /// Paths of the library, relative to the backends folder, and whether the trusted folder has them.
    private static let paths = [
        ("engine.so", true), ("sub/engine.so", true), ("sub/../engine.so", true), ("inner-link.so", true),
        ("missing.so", false), ("link.so", false), ("linked/engine.so", false), ("../outside/engine.so", false),
        ("../trusted-not/engine.so", false), ("sub/../../outside/engine.so", false), ("", false), (".", false),
    ]

    @Test(arguments: paths)
    func `a client's relative path must lie in the trusted folder`(path: String, isTrusted: Bool) throws {
        let folders = try Folders()
        try withBackend(trusting: folders.trusted, backendsPath: folders.trusted) { engine, opened in
            #expect(engine.loadBackend(opened.description, untrustedPath: path) == isTrusted)
            #expect(opened.all == (isTrusted ? ["\(folders.trusted)/\(path)"] : []))
        }
    }

    @Test(arguments: paths.filter { !$0.0.isEmpty })
    func `so must an absolute one`(path: String, isTrusted: Bool) throws {
        let folders = try Folders()
        let path = "\(folders.trusted)/\(path)"
        try withBackend(trusting: folders.trusted, backendsPath: "/nowhere") { engine, opened in
            #expect(engine.loadBackend(opened.description, untrustedPath: path) == isTrusted)
        }
    }

    @Test func `the trusted folder itself may be a link`() throws {
        let folders = try Folders()
        try withBackend(trusting: folders.linkToTrusted, backendsPath: folders.trusted) { engine, opened in
            #expect(engine.loadBackend(opened.description, untrustedPath: "engine.so"))
        }
    }

    @Test func `a trusted folder that does not exist has nothing`() throws {
        let folders = try Folders()
        try withBackend(trusting: folders.trusted + "/gone", backendsPath: folders.trusted) { engine, opened in
            #expect(engine.loadBackend(opened.description, untrustedPath: "engine.so") == false)
        }
    }

    @Test func `a client who moves the backends folder gains nothing`() throws {
        let folders = try Folders()
        try withBackend(trusting: folders.trusted, backendsPath: folders.trusted) { engine, opened in
            engine.currentBackendsPath = folders.outside
            #expect(engine.loadBackend(opened.description, untrustedPath: "engine.so") == false)
            #expect(opened.all == [])
        }
    }

    @Test func `an operator may name any file`() throws {
        let folders = try Folders()
        try withBackend(trusting: folders.trusted, backendsPath: folders.trusted) { engine, opened in
            #expect(engine.loadBackend(opened.description, path: "\(folders.outside)/engine.so"))
        }
    }

    @Test func `without a trusted folder every path is`() throws {
        let folders = try Folders()
        try withBackend(trusting: nil, backendsPath: folders.trusted) { engine, opened in
            #expect(engine.loadBackend(opened.description, untrustedPath: "\(folders.outside)/engine.so"))
        }
    }
}

@Suite struct BackendRegistryTests {
    @Test func `an engine is loaded once`() throws {
        try withBackend { engine, opened in
            #expect(engine.loadBackend(opened.description, path: "a.so"))
            #expect(engine.loadBackend(opened.description, path: "/b.so") == false)
            #expect(opened.all == ["/backends/a.so"])
        }
    }

    @Test func `why an engine is not loaded is told`() throws {
        let opened = OpenedPaths(failures: 1)
        let registry = BackendRegistry([opened.description, .unopened])
        #expect(throws: InferenceError("cannot be opened")) { try registry.load(opened.description, path: "a.so") }
        #expect(registry.libraryPath(opened.description) == nil)
        try registry.load(opened.description, path: "b.so")
        #expect(throws: InferenceError("it is loaded already")) { try registry.load(opened.description, path: "c.so") }
        #expect(registry.libraryPath(opened.description) == "b.so")
        #expect(opened.all == ["b.so"])
    }

    @Test func `that this build does not have an engine is told`() {
        let registry = BackendRegistry([.unopened])
        #expect(throws: InferenceError("this build does not have it")) { try registry.load(.unopened, path: "a.so") }
    }

    @Test func `the operator learns which library could not be loaded, and why`() throws {
        let lines = Lines()
        try withBackend(failures: 1, log: lines) { engine, opened in
            _ = engine.loadBackend(opened.description, path: "a.so")
            _ = engine.loadBackend(opened.description, path: "b.so")
            _ = engine.loadBackend(opened.description, path: "c.so")
            #expect(
                lines.all == [
                    "the FAKE engine could not be loaded from /backends/a.so: cannot be opened",
                    "the FAKE engine could not be loaded from /backends/c.so: it is loaded already",
                ])
        }
    }

    @Test func `an engine that could not be opened may be tried again`() throws {
        try withBackend(failures: 1) { engine, opened in
            #expect(engine.loadBackend(opened.description, path: "a.so") == false)
            #expect(engine.registry.loadedBackend(opened.description) == nil)
            #expect(engine.loadBackend(opened.description, path: "b.so"))
            #expect(engine.registry.loadedBackend(opened.description) != nil)
        }
    }

    @Test func `engines that cannot be opened leave no threads behind`() throws {
        try withBackend(failures: .max) { engine, opened in
            let before = try addressSpace()
            for _ in 0..<200 { _ = engine.loadBackend(opened.description, path: "a.so") }
            // Two hundred stacks would take 1,600 MiB.
            try #expect(addressSpace() - before < 800 << 20)
        }
    }

    /// Bytes of address space that the process uses.
    private func addressSpace() throws -> Int {
        let pages = try String(contentsOfFile: "/proc/self/statm", encoding: .utf8).split(separator: " ").first
        return try #require(pages.flatMap { Int($0) }) * Int(sysconf(Int32(_SC_PAGESIZE)))
    }

    @Test func `an engine is loaded in the background and the result is told`() throws {
        try withBackend { engine, opened in
            let results = Lines()
            let isTold = Gate("the result is told")
            engine.loadBackend(opened.description, untrustedPath: "a.so") { isLoaded in
                results.append("\(isLoaded)")
                isTold.open()
            }
            try isTold.wait()
            #expect(results.all == ["true"])
        }
    }

    @Test func `an engine that this build cannot drive is never loaded`() {
        let engine = InferenceEngine(backends: [.unopened])
        #expect(engine.loadBackend(.unopened, path: "a.so") == false)
    }

    @Test func `engines are found by name, in any case, and by number`() {
        let registry = BackendRegistry([.unopened])
        #expect(registry.description(named: "fake")?.name == "FAKE")
        #expect(registry.description(named: "FAKES") == nil)
        #expect(registry.description(withID: 9)?.name == "FAKE")
        #expect(registry.description(withID: 8) == nil)
    }

    @Test func `a model whose engine cannot be loaded is broken, and the operator learns the path`() throws {
        let lines = Lines()
        try withBackend(failures: .max, log: lines) { engine, opened in
            let hasEnded = Gate("the model is broken")
            let model = engine.makeModel(try .fake(backend: opened.description)) { hasEnded.open() }
            try hasEnded.wait()
            #expect(model.phase.error == .couldNotLoadBackend)
            #expect(lines.all.count == 1)
            #expect(lines.all.first?.contains("/backends/engine.so") == true)
        }
    }
}

/// Models and scripts that are broken because their engine is not there, and the engine that comes later.
@Suite struct AwaitedEngineTests {
    private func brokenModel(_ engine: InferenceEngine, _ opened: OpenedPaths, key: String = "m") throws -> Model {
        let hasEnded = Gate("the model is broken")
        let model = engine.makeModel(try .fake(key: key, backend: opened.description)) { hasEnded.open() }
        try hasEnded.wait()
        #expect(model.phase.error == .couldNotLoadBackend)
        return model
    }

    @Test func `they are built when it is loaded`() throws {
        try withBackend(failures: 2) { engine, opened in
            let models = [try brokenModel(engine, opened), try brokenModel(engine, opened)]
            #expect(engine.loadBackend(opened.description, path: "a.so"))
            for model in models {
                let isBuilt = Gate("the model is built")
                model.whenLoaded { isBuilt.open() }
                try isBuilt.wait()
                #expect(model.phase.isReady)
            }
        }
    }

    @Test func `and when another model brings it`() throws {
        try withBackend(failures: 1) { engine, opened in
            let model = try brokenModel(engine, opened)
            let isBuilt = Gate("the other model is built")
            let other = engine.makeModel(try .fake(backend: opened.description)) { isBuilt.open() }
            try isBuilt.wait()
            #expect(other.phase.isReady)
            let isMended = Gate("the model is mended")
            model.whenLoaded { isMended.open() }
            try isMended.wait()
            #expect(model.phase.isReady)
        }
    }

    @Test func `what has gone is not built, and nothing is kept of it`() throws {
        try withBackend(failures: 1) { engine, opened in
            weak var gone: Model?
            do {
                let model = try brokenModel(engine, opened)
                gone = model
            }
            let isQuiet = Gate("the loader has let go")
            engine.inBackground { isQuiet.open() }
            try isQuiet.wait()
            #expect(gone == nil)
            #expect(engine.loadBackend(opened.description, path: "a.so"))
            #expect(engine.pendingLoads == 0)
        }
    }

    @Test func `the log tells of those that no client waits for, so many a minute`() throws {
        let lines = Lines()
        let clock = ManualClock()
        let reports = BrokenReports(clock: clock.monotonic)
        let identity = try ModelDefinition.fake(key: "odd key\n").identity
        for _ in 0..<100 { reports.report(identity, .couldNotLoadBackend) { lines.append($0) } }
        #expect(lines.all.count == 60)
        #expect(lines.all.first == "the FAKE model 'odd%20key%0A' is broken: ERR Could not load backend")
        #expect(lines.all.last?.hasSuffix("; more are not listed") == true)
        clock.advance(milliseconds: 60_001)
        reports.report(identity, .couldNotLoadBackend) { lines.append($0) }
        #expect(lines.all.count == 61)
    }
}

/// What the operator is told of engines that clients ask for in vain.
@Suite struct MissingBackendTests {
    private static let advice = "; `make engines ENGINES=fake` in the module's sources fetches it"

    private func refuse(_ identity: ArtifactIdentity, by engine: InferenceEngine) {
        #expect(throws: InferenceError.couldNotLoadBackend) { try engine.checkCanLoad(identity) }
    }

    @Test func `which file is missing and how to get it, once`() throws {
        let lines = Lines()
        try withBackend(log: lines) { engine, opened in
            for _ in 0..<3 {
                refuse(try ModelDefinition.fake(backend: opened.description).identity, by: engine)
                refuse(try ScriptDefinition.fake(backend: opened.description).identity, by: engine)
            }
            #expect(
                lines.all == [
                    "the FAKE engine was asked for and could not be loaded from /backends/engine.so: "
                        + "there is no such file" + Self.advice
                ])
        }
    }

    @Test func `each engine by itself`() throws {
        let lines = Lines()
        try withBackend(log: lines) { engine, opened in
            let other = BackendDescription(
                name: "OTHER", id: 8, defaultPath: "other.so", names: .fromModel, open: nil)
            for _ in 0..<2 {
                refuse(try ModelDefinition.fake(backend: opened.description).identity, by: engine)
                refuse(try ModelDefinition.fake(backend: other).identity, by: engine)
            }
            #expect(lines.all.count == 2)
            #expect(
                lines.all.last?.hasSuffix("`make engines ENGINES=other` in the module's sources fetches it") == true)
        }
    }

    @Test func `why a file that is there could not be loaded, once`() throws {
        let folders = try Folders()
        let lines = Lines()
        try withBackend(backendsPath: folders.outside, failures: .max, log: lines) { engine, opened in
            for _ in 0..<3 {
                let definition = try ScriptDefinition.fake(backend: opened.description)
                try engine.checkCanLoad(definition.identity)
                let hasEnded = Gate("the script is broken")
                let script = engine.makeScript(definition) { hasEnded.open() }
                try hasEnded.wait()
                #expect(script.phase.error == .couldNotLoadBackend)
            }
            #expect(
                lines.all == [
                    "the FAKE engine was asked for and could not be loaded from \(folders.outside)/engine.so: "
                        + "cannot be opened" + Self.advice
                ])
        }
    }

    @Test func `that a file is outside the trusted folder`() throws {
        let folders = try Folders()
        let lines = Lines()
        try withBackend(trusting: folders.trusted, backendsPath: folders.outside, log: lines) { engine, opened in
            let hasEnded = Gate("the model is broken")
            let model = engine.makeModel(try .fake(backend: opened.description)) { hasEnded.open() }
            try hasEnded.wait()
            #expect(model.phase.error == .couldNotLoadBackend)
            #expect(lines.all.count == 1)
            #expect(lines.all.first?.contains("the file is outside the trusted folder") == true)
            #expect(opened.all == [])
        }
    }

    @Test func `nothing of an engine that can be loaded`() throws {
        let folders = try Folders()
        let lines = Lines()
        try withBackend(backendsPath: folders.outside, log: lines) { engine, opened in
            let hasEnded = Gate("the model is ready")
            let model = engine.makeModel(try .fake(backend: opened.description)) { hasEnded.open() }
            try hasEnded.wait()
            #expect(model.phase.isReady)
            #expect(lines.all == [])
        }
    }
}

// MARK: Fixtures

extension BackendRegistry {
    fileprivate func load(_ description: BackendDescription, path: String) throws(InferenceError) {
        try load(description, path: path, settings: EngineSettings())
    }
}

/// A backend that remembers from where it was opened.
private final class OpenedPaths: Sendable {
    private let paths = Lines()
    private let remainingFailures: Mutex<Int>

    init(failures: Int) {
        remainingFailures = Mutex(failures)
    }

    var all: [String] { paths.all }

    var description: BackendDescription {
        BackendDescription(
            name: "FAKE", id: 9, defaultPath: "engine.so", names: .fromModel,
            open: { [self] path, _ throws(InferenceError) in try open(path) })
    }

    private func open(_ path: String) throws(InferenceError) -> any Backend {
        let fails = remainingFailures.withLock { failures in
            defer { failures = max(0, failures - 1) }
            return failures > 0
        }
        if fails { throw InferenceError("cannot be opened") }
        paths.append(path)
        return FakeBackend { _ in FakeModel() }
    }
}

/// Runs `body` with a started engine whose only backend is one that remembers from where it was opened.
private func withBackend(
    trusting trusted: String? = nil, backendsPath: String = "/backends", failures: Int = 0, log: Lines = Lines(),
    _ body: (InferenceEngine, OpenedPaths) throws -> Void
) throws {
    let opened = OpenedPaths(failures: failures)
    let engine = InferenceEngine(backends: [opened.description])
    var configuration = InferenceEngine.Configuration()
    configuration.trustedBackendsPath = trusted
    configuration.log = { log.append($0) }
    try #require(engine.start(configuration, backendsPath: backendsPath))
    defer { #expect(engine.stop()) }
    try body(engine, opened)
}

private final class Lines: Sendable {
    private let lines = Mutex<[String]>([])

    var all: [String] { lines.withLock { $0 } }

    func append(_ line: String) {
        lines.withLock { $0.append(line) }
    }
}

/// A trusted folder with libraries and links, and others beside it. Removed at the end.
private final class Folders {
    private let root: URL
    let trusted: String
    let outside: String
    let linkToTrusted: String

    init() throws {
        let files = FileManager.default
        // The path without links: the engine reports paths as they were given.
        let base = files.temporaryDirectory.resolvingSymlinksInPath()
        root = base.appendingPathComponent("redisai-\(UUID().uuidString)")
        trusted = root.appendingPathComponent("trusted").path
        outside = root.appendingPathComponent("outside").path
        linkToTrusted = root.appendingPathComponent("link-to-trusted").path
        for folder in [trusted, trusted + "/sub", outside, trusted + "-not"] {
            try files.createDirectory(atPath: folder, withIntermediateDirectories: true)
            try Data().write(to: URL(fileURLWithPath: folder + "/engine.so"))
        }
        for (link, target) in [
            (trusted + "/link.so", outside + "/engine.so"), (trusted + "/linked", outside),
            (trusted + "/inner-link.so", "sub/engine.so"), (linkToTrusted, trusted),
        ] {
            try files.createSymbolicLink(atPath: link, withDestinationPath: target)
        }
    }

    deinit {
        try? FileManager.default.removeItem(at: root)
    }
}
