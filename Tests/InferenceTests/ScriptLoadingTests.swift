import Inference
import Synchronization
import Tensors
import TestSupport
import Testing

@Suite struct ScriptLoadingTests {
    private static let notCompiled = InferenceError("expected an indented block")

    @Test func `a script is loading until it is ready`() throws {
        let mayLoad = Gate("scripts may be compiled")
        let setup = EngineSetup(compile: { _ in FakeScript.when(mayLoad) })
        try setup.withEngine { fixture in
            let hasLoaded = Gate("the script is compiled")
            let script = try fixture.storeScript { hasLoaded.open() }
            #expect(script.phase.isLoading)
            #expect(script.readyQueue == nil)
            mayLoad.open()
            try hasLoaded.wait()
            #expect(script.phase.isReady)
            #expect(script.readyQueue != nil)
            #expect(fixture.engine.directory.phaseCounts(of: .script).ready == 1)
        }
    }

    @Test func `a script that does not compile is broken, with the reason`() throws {
        let setup = EngineSetup(compile: { _ throws(InferenceError) in throw Self.notCompiled })
        try setup.withEngine { fixture in
            let script = try fixture.loadScript()
            #expect(script.phase.error == Self.notCompiled)
            try fixture.call(of: script)
            try #expect(
                fixture.inbox.wait(for: 1) == [.failed(.isBroken(.script, "expected an indented block"))])
            #expect(InferenceError.isBroken(.script, "why").message == "ERR script is broken: why")
        }
    }

    @Test func `a script for an engine without scripts is broken`() throws {
        try withEngine { fixture in
            try #expect(fixture.loadScript().phase.error == .couldNotLoadBackend)
        }
    }

    @Test func `calls that come while a script is compiled run afterwards, in order`() throws {
        let mayLoad = Gate("scripts may be compiled")
        let setup = EngineSetup(compile: { _ in FakeScript.when(mayLoad) })
        try setup.withEngine { fixture in
            let script = try fixture.storeScript()
            for value in 1...20 { try fixture.call(of: script, Float(value)) }
            #expect(fixture.inbox.ended == [])
            #expect(script.waiterCount == 20)
            mayLoad.open()
            try #expect(fixture.inbox.wait(for: 20) == (1...20).map { .echo(Float($0)) })
        }
    }

    @Test func `calls that come while a script is compiled fail with it`() throws {
        let mayLoad = Gate("scripts may be compiled")
        let setup = EngineSetup(compile: { _ throws(InferenceError) in
            mayLoad.pass()
            throw Self.notCompiled
        })
        try setup.withEngine { fixture in
            let script = try fixture.storeScript()
            try fixture.call(of: script)
            mayLoad.open()
            try #expect(fixture.inbox.wait(for: 1) == [.failed(.isBroken(.script, Self.notCompiled.message))])
            #expect(script.statistics.snapshot.calls == 0)
        }
    }

    @Test func `as many calls may wait for a script as may wait in a queue`() throws {
        let mayLoad = Gate("scripts may be compiled")
        var setup = EngineSetup(compile: { _ in FakeScript.when(mayLoad) })
        setup.configuration.queueLimit = 2
        try setup.withEngine { fixture in
            defer { mayLoad.open() }
            let script = try fixture.storeScript()
            for value in 1...3 { try fixture.call(of: script, Float(value)) }
            #expect(fixture.inbox.ended == [.failed(.queueIsFull("CPU", requestLimit: 2))])
            mayLoad.open()
            try #expect(fixture.inbox.wait(for: 3).dropFirst() == [.echo(1), .echo(2)])
        }
    }

    @Test func `a script that is deleted before its turn is not compiled`() throws {
        let mayLoad = Gate("scripts may be compiled")
        let compiled = Keys()
        let setup = EngineSetup(compile: { definition in
            compiled.append(definition.identity.key)
            return FakeScript.when(mayLoad)
        })
        try setup.withEngine { fixture in
            defer { mayLoad.open() }
            let first = try fixture.storeScript("first")
            var second: Script? = try fixture.storeScript("second")
            #expect(second?.phase.isLoading == true)
            second = nil
            #expect(fixture.engine.directory.entry(for: Array("second".utf8)) == nil)
            mayLoad.open()
            let third = try fixture.loadScript("third")
            #expect(first.phase.isReady && third.phase.isReady)
            #expect(compiled.all == ["first", "third"])
        }
    }

    @Test func `a script that is deleted while it is compiled is released`() throws {
        let (isLoading, mayLoad) = (Gate("a script is being compiled"), Gate("scripts may be compiled"))
        let isReleased = Gate("the compiled script is released")
        let setup = EngineSetup(compile: { _ in
            isLoading.open()
            mayLoad.pass()
            return FakeScript(onRelease: isReleased.open)
        })
        try setup.withEngine { fixture in
            var script: Script? = try fixture.storeScript()
            try isLoading.wait()
            #expect(script?.phase.isLoading == true)
            script = nil
            #expect(fixture.engine.directory.sorted(.script).isEmpty)
            mayLoad.open()
            try isReleased.wait()
        }
    }

    @Test func `a call keeps a deleted script until it has run`() throws {
        let mayLoad = Gate("scripts may be compiled")
        let isReleased = Gate("the compiled script is released")
        let setup = EngineSetup(compile: { _ in
            mayLoad.pass()
            return FakeScript(onRelease: isReleased.open)
        })
        try setup.withEngine { fixture in
            var script: Script? = try fixture.storeScript()
            try fixture.call(of: #require(script), 7)
            script = nil
            mayLoad.open()
            try #expect(fixture.inbox.wait(for: 1) == [.echo(7)])
            try isReleased.wait()
            #expect(fixture.engine.directory.sorted(.script).isEmpty)
        }
    }
}

/// Keys in the order in which they came.
private final class Keys: Sendable {
    private let keys = Mutex<[String]>([])

    var all: [String] { keys.withLock { $0 } }

    func append(_ key: [UInt8]) {
        keys.withLock { $0.append(String(decoding: key, as: UTF8.self)) }
    }
}

extension FakeScript {
    /// A script, once `gate` is open: for a loader thread to wait.
    fileprivate static func when(_ gate: Gate) -> FakeScript {
        gate.pass()
        return FakeScript()
    }
}
