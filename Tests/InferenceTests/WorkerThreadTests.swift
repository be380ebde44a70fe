import Foundation
import Glibc
import Synchronization
import TestSupport
import Testing

@testable import Inference

@Suite struct WorkerThreadTests {
    /// What a thread can tell of itself.
    private struct Portrait: Sendable {
        var name = ""
        var niceness: Int32 = 0
        var blocksTermination = false

        static func ofThisThread() -> Portrait {
            let name = try? String(contentsOfFile: "/proc/thread-self/comm", encoding: .utf8)
            var mask = sigset_t()
            pthread_sigmask(SIG_BLOCK, nil, &mask)
            return Portrait(
                name: name?.trimmingCharacters(in: .newlines) ?? "",
                niceness: getpriority(Int32(PRIO_PROCESS.rawValue), 0),
                blocksTermination: sigismember(&mask, SIGTERM) == 1)
        }
    }

    private func portrait(name: String, priority: WorkerThread.Priority = .normal) throws -> Portrait {
        let result = Sealed()
        let thread = try #require(
            WorkerThread(name: name, priority: priority) { result.value.withLock { $0 = .ofThisThread() } })
        #expect(thread.join(withinSeconds: Gate.patience))
        return try #require(result.value.withLock { $0 })
    }

    private final class Sealed: Sendable {
        let value = Mutex<Portrait?>(nil)
    }

    @Test(arguments: [
        ("short", "short"), ("fifteen--bytes!", "fifteen--bytes!"), ("sixteen--bytes!!", "sixteen--bytes!"),
    ])
    func `carries its name, cut where the system cuts`(name: String, shown: String) throws {
        try #expect(portrait(name: name).name == shown)
    }

    @Test func `leaves signals to the others`() throws {
        try #expect(portrait(name: "signals").blocksTermination)
    }

    @Test func `gives way at low priority`() throws {
        let normal = try portrait(name: "normal").niceness
        try #expect(portrait(name: "low", priority: .low).niceness == min(19, normal + 10))
    }

    @Test func `passes a value on`() {
        #expect(WorkerThread.value(name: "value") { 6 * 7 } == 42)
    }

    @Test func `is not joined while it runs`() throws {
        let mayEnd = Gate("the thread may end")
        let thread = try #require(WorkerThread(name: "held") { mayEnd.pass() })
        #expect(thread.join(withinSeconds: 0) == false)
        #expect((thread.processorTime ?? -1) >= 0)
        mayEnd.open()
        #expect(thread.join(withinSeconds: Gate.patience))
    }
}
