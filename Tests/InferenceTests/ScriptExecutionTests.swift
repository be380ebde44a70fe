import Synchronization
import Tensors
import TestSupport
import Testing

@testable import Inference

@Suite struct ScriptExecutionTests {
    @Test func `the script gets function, keys, arguments, inputs and the number of outputs`() throws {
        let setup = EngineSetup(compile: { _ in
            FakeScript { run throws(InferenceError) in
                let texts = (run.call.keys + run.call.arguments).map { String(decoding: $0, as: UTF8.self) }
                #expect(run.call.function == "score")
                #expect(texts == ["k1", "k2", "a1"])
                #expect(run.outputCount == 3)
                return run.inputs + [nil] + run.inputs
            }
        })
        try setup.withEngine { fixture in
            try fixture.call(
                "score", of: fixture.loadScript(), 5, keys: ["k1", "k2"], arguments: ["a1"], outputs: 3)
            try #expect(fixture.inbox.wait(for: 1) == [.outputs([[5], nil, [5]])])
        }
    }

    @Test(arguments: [("f", true), ("g", true), ("h", false), ("F", false), ("", false)])
    func `whether a function is an entry point is told`(function: String, isEntryPoint: Bool) throws {
        let setup = EngineSetup(compile: { _ in
            FakeScript { run throws(InferenceError) in
                throw InferenceError(run.isEntryPoint ? "entry point" : "function")
            }
        })
        try setup.withEngine { fixture in
            try fixture.call(function, of: fixture.loadScript(entryPoints: ["f", "g"]))
            let text = isEntryPoint ? "entry point" : "function"
            try #expect(fixture.inbox.wait(for: 1) == [.failed(InferenceError(text))])
        }
    }

    @Test func `runs are counted with the time they took and the rows they made`() throws {
        let clock = LateClock()
        let setup = EngineSetup(compile: { _ in
            FakeScript { run throws(InferenceError) in
                clock.advance(microseconds: 1_500)
                guard run.call.function == "f" else { throw InferenceError("failed") }
                return [try? Tensor(zeros: .float, [7, 2])]
            }
        })
        try setup.withEngine { fixture in
            clock.set(fixture.clock)
            let script = try fixture.loadScript()
            for function in ["f", "g", "f"] { try fixture.call(function, of: script) }
            try fixture.inbox.wait(for: 3)
            #expect(script.statistics.snapshot == .init(duration: 3_000, samples: 14, calls: 3, errors: 1))
        }
    }

    @Test func `a run without outputs counts no rows`() throws {
        let setup = EngineSetup(compile: { _ in FakeScript { _ in [] } })
        try setup.withEngine { fixture in
            let script = try fixture.loadScript()
            try fixture.call(of: script, outputs: 0)
            try #expect(fixture.inbox.wait(for: 1) == [.outputs([])])
            #expect(script.statistics.snapshot.samples == 0)
            #expect(script.statistics.snapshot.calls == 1)
        }
    }
}

/// The clock of a fixture, for what is made before the fixture.
private final class LateClock: Sendable {
    private let clock = Mutex<ManualClock?>(nil)

    func set(_ clock: ManualClock) {
        self.clock.withLock { $0 = clock }
    }

    func advance(microseconds count: Int) {
        clock.withLock { $0?.advance(microseconds: count) }
    }
}

// MARK: The server as scripts see it

@Suite struct ScriptHostTests {
    /// Calls a function of a script that does `body`, on `server`, and returns how that ended.
    private func end(
        on server: FakeServer, _ body: @escaping @Sendable (FakeScript.Run) throws(InferenceError) -> [Tensor?]
    ) throws -> Inbox.Ending? {
        var ending: Inbox.Ending?
        try EngineSetup(compile: { _ in FakeScript(onRun: body) }).withEngine { fixture in
            try fixture.call(of: fixture.loadScript(), server: server)
            ending = try fixture.inbox.wait(for: 1).first
        }
        return ending
    }

    @Test func `a command reaches the server, and its answer the script`() throws {
        let server = FakeServer(onExecute: { _, reply in
            reply.array(3)
            reply.text("one")
            reply.integer(2)
            reply.null()
        })
        let ending = try end(on: server) { run throws(InferenceError) in
            throw InferenceError(try run.host.execute("LRANGE", "k", "0", "").joined(separator: ", "))
        }
        #expect(ending == .failed(InferenceError("array of 3, one, 2, null")))
        #expect(server.commands == [["LRANGE", "k", "0", ""]])
    }

    @Test func `an error reply ends the script`() throws {
        let server = FakeServer(onExecute: { _, _ throws(InferenceError) in
            throw InferenceError("ERR unknown command")
        })
        let ending = try end(on: server) { run throws(InferenceError) in
            _ = try run.host.execute("FROB")
            return run.inputs
        }
        #expect(ending == .failed(InferenceError("ERR unknown command")))
    }

    @Test func `a model that is not there ends the script`() throws {
        let ending = try end(on: FakeServer()) { run throws(InferenceError) in
            try run.host.runModel("m", run.inputs, outputs: 1)
        }
        #expect(ending == .failed(InferenceError("ERR no such model")))
    }

    /// Calls a script that runs a model, made of `loaded`, with as many inputs and outputs as given.
    private func endOfModel(
        inputs: Int = 1, outputs: Int = 1, _ loaded: @escaping FakeBackend.Load
    ) throws -> (Inbox.Ending?, RunStatistics.Snapshot) {
        var ending: Inbox.Ending?
        var statistics: RunStatistics.Snapshot?
        let setup = EngineSetup(
            load: loaded,
            compile: { _ in
                FakeScript { run throws(InferenceError) in
                    let inputs = (0..<inputs).flatMap { _ in run.inputs }
                    return try run.host.runModel("m", inputs, outputs: outputs)
                }
            })
        try setup.withEngine { fixture in
            let model = try fixture.load("m")
            let server = FakeServer(models: { key in
                #expect(key == "m")
                return model
            })
            try fixture.call(of: fixture.loadScript(), 5, server: server)
            ending = try fixture.inbox.wait(for: 1).first
            statistics = model.statistics.snapshot
        }
        return (ending, try #require(statistics))
    }

    @Test func `a model runs within the script, without statistics of its own`() throws {
        let (ending, statistics) = try endOfModel { _ in FakeModel() }
        #expect(ending == .echo(5))
        #expect(statistics == .init(duration: 0, samples: 0, calls: 0, errors: 0))
    }

    @Test(arguments: [
        (0, 1, "ERR Expected 1 inputs but got 0"), (2, 1, "ERR Expected 1 inputs but got 2"),
        (1, 0, "ERR Expected 2 outputs but got 0"), (1, 3, "ERR Expected 2 outputs but got 3"),
        (3, 3, "ERR Expected 1 inputs but got 3"),
    ])
    func `another number of inputs or outputs than the model has is an error`(
        inputs: Int, outputs: Int, text: String
    ) throws {
        let (ending, _) = try endOfModel(inputs: inputs, outputs: outputs) { _ in FakeModel(outputNames: ["y", "z"]) }
        #expect(ending == .failed(InferenceError(text)))
    }

    @Test func `an output without tensor form is an error`() throws {
        let (ending, _) = try endOfModel { _ in FakeModel { _, _ in [nil] } }
        #expect(ending == .failed(InferenceError("ERR an output of the model has no tensor form")))
    }

    @Test func `another number of outputs than the engine promised is an error`() throws {
        let (ending, _) = try endOfModel { _ in FakeModel { _, _ in [] } }
        #expect(ending == .failed(.unexpectedOutputCount))
    }

    @Test func `a failed model ends the script`() throws {
        let (ending, _) = try endOfModel { _ in
            FakeModel { _, _ throws(InferenceError) in throw InferenceError("no such operator") }
        }
        #expect(ending == .failed(InferenceError("no such operator")))
    }

    @Test func `a broken model is an error, with the reason`() throws {
        let (ending, _) = try endOfModel { _ throws(InferenceError) in throw InferenceError("cannot be parsed") }
        #expect(ending == .failed(.isBroken(.model, "cannot be parsed")))
    }

    @Test func `a model that is still loading is waited for`() throws {
        let mayLoad = Gate("models may load")
        var setup = EngineSetup(
            load: { _ in
                mayLoad.pass()
                return FakeModel()
            },
            compile: { _ in
                FakeScript { run throws(InferenceError) in try run.host.runModel("m", run.inputs, outputs: 1) }
            })
        setup.configuration.loaderThreads = 2
        try setup.withEngine { fixture in
            defer { mayLoad.open() }
            let script = try fixture.loadScript()
            let model = try fixture.store("m")
            try fixture.call(of: script, server: FakeServer(models: { _ in model }))
            #expect(fixture.inbox.ended.isEmpty)
            mayLoad.open()
            guard case .outputs = try #require(fixture.inbox.wait(for: 1).first) else {
                Issue.record("the model has not been run")
                return
            }
        }
    }
}

// MARK: Scripts that take too long

@Suite struct LongScriptTests {
    /// Runs `body` with a script whose run is `stuck` under the key `stuck`; others return their inputs.
    private func withStuckScript(_ body: (EngineFixture, Script, StuckRun) throws -> Void) throws {
        let stuck = StuckRun()
        var setup = EngineSetup(compile: { definition in
            definition.identity.key == Array("stuck".utf8) ? stuck.script : FakeScript()
        })
        setup.configuration.runTimeout = 100
        try setup.withEngine { fixture in
            defer { stuck.mayEnd.open() }
            let script = try fixture.loadScript("stuck")
            try fixture.call(of: script)
            try stuck.hasBegun.wait()
            try body(fixture, script, stuck)
        }
    }

    @Test func `a script that does not end is given up and not run again`() throws {
        try withStuckScript { fixture, script, stuck in
            fixture.clock.advance(milliseconds: 200)
            fixture.engine.endOverdueRuns()
            #expect(fixture.inbox.ended == [])
            fixture.clock.advance(milliseconds: 1)
            fixture.engine.endOverdueRuns()
            #expect(fixture.inbox.ended == [.failed(.runAbandoned)])
            #expect(script.phase.error == .runDidNotEnd)
            #expect(script.statistics.snapshot == .init(duration: 0, samples: 0, calls: 1, errors: 1))
            try fixture.call(of: script)
            #expect(fixture.inbox.ended.last == .failed(.isBroken(.script, "a run of it did not end")))
            stuck.mayEnd.open()
            #expect(fixture.engine.stop())
            #expect(fixture.inbox.ended.count == 2)
        }
    }

    @Test func `another worker takes over`() throws {
        try withStuckScript { fixture, _, _ in
            try fixture.call(of: fixture.loadScript("other"), 2)
            fixture.clock.advance(milliseconds: 201)
            fixture.engine.endOverdueRuns()
            // In either order.
            let endings = try fixture.inbox.wait(for: 2)
            #expect(endings.contains(.failed(.runAbandoned)) && endings.contains(.echo(2)))
        }
    }

    @Test func `a script stuck in a model is given up, not the model`() throws {
        let (stuck, script) = (StuckRun(), EndlessRun())
        var setup = EngineSetup(
            load: { _ in stuck.model },
            compile: { _ in
                FakeScript { run throws(InferenceError) in
                    try run.watch.during(script) { () throws(InferenceError) in
                        try run.host.runModel("m", run.inputs, outputs: 1)
                    }
                }
            })
        setup.configuration.runTimeout = 100
        try setup.withEngine { fixture in
            defer { stuck.mayEnd.open() }
            let (model, caller) = (try fixture.load("m"), try fixture.loadScript())
            try fixture.call(of: caller, server: FakeServer(models: { _ in model }))
            try stuck.hasBegun.wait()
            fixture.clock.advance(milliseconds: 201)
            fixture.engine.endOverdueRuns()
            #expect(script.interruptCount == 1)
            #expect(fixture.inbox.ended == [.failed(.runAbandoned)])
            #expect(caller.phase.error == .runDidNotEnd)
            #expect(model.phase.isReady)
        }
    }

    /// A server that answers no command before it may.
    private struct SlowServer {
        let isAsked = Gate("the server is asked")
        let mayAnswer = Gate("the server may answer")

        var server: FakeServer {
            FakeServer(onExecute: { [self] _, reply in
                isAsked.open()
                mayAnswer.pass()
                reply.null()
            })
        }
    }

    private func withWaitingScript(_ body: (EngineFixture, SlowServer, EndlessRun) throws -> Void) throws {
        let run = EndlessRun()
        let slow = SlowServer()
        var setup = EngineSetup(compile: { _ in
            FakeScript { script throws(InferenceError) in
                try script.watch.during(run) { () throws(InferenceError) in
                    _ = try script.host.execute("PING")
                    return script.inputs
                }
            }
        })
        setup.configuration.runTimeout = 100
        try setup.withEngine { fixture in
            defer { slow.mayAnswer.open() }
            try fixture.call(of: fixture.loadScript(), 3, server: slow.server)
            try slow.isAsked.wait()
            try body(fixture, slow, run)
        }
    }

    @Test func `a script that waits for the server is neither interrupted nor given up`() throws {
        try withWaitingScript { fixture, slow, run in
            fixture.clock.advance(milliseconds: 10_000)
            fixture.engine.endOverdueRuns()
            #expect(run.interruptCount == 0)
            #expect(fixture.inbox.ended == [])
            slow.mayAnswer.open()
            try #expect(fixture.inbox.wait(for: 1) == [.echo(3)])
        }
    }

    @Test func `stopping does not wait for a script that waits for the server`() throws {
        try withWaitingScript { fixture, slow, run in
            let elapsed = ContinuousClock().measure { #expect(fixture.engine.stop()) }
            #expect(elapsed < .seconds(4))
            #expect(run.interruptCount == 1)
            #expect(fixture.inbox.ended == [])
            // The thread must not outlive the engine.
            slow.mayAnswer.open()
            try fixture.inbox.wait(for: 1)
        }
    }
}
