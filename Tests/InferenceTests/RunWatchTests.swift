import Synchronization
import TestSupport
import Testing

@testable import Inference

@Suite struct RunWatchTests {
    private let clock = ManualClock()
    private let watch: RunWatch

    init() {
        watch = RunWatch(clock: clock.monotonic)
    }

    @Test func `interrupts a run only when it has lasted longer than the limit`() {
        let run = CountingRun()
        watch.during(run) {
            clock.advance(nanoseconds: 5_000)
            watch.interrupt(olderThan: 5_000)
            #expect(run.interrupts == 0)
            clock.advance(nanoseconds: 1)
            watch.interrupt(olderThan: 5_000)
            #expect(run.interrupts == 1)
        }
    }

    @Test func `interrupts a run once`() {
        let run = CountingRun()
        watch.during(run) {
            for _ in 0..<3 {
                clock.advance(milliseconds: 10)
                watch.interrupt(olderThan: 0)
            }
        }
        #expect(run.interrupts == 1)
    }

    @Test func `does not interrupt a run that has ended`() {
        let run = CountingRun()
        watch.during(run) {}
        clock.advance(milliseconds: 10)
        watch.interrupt(olderThan: -1)
        #expect(run.interrupts == 0)
    }

    @Test func `does not interrupt a run that has ended with an error`() {
        let run = CountingRun()
        #expect(throws: InferenceError("failed")) {
            try watch.during(run) { () throws(InferenceError) in throw InferenceError("failed") }
        }
        watch.interrupt(olderThan: -1)
        #expect(run.interrupts == 0)
    }

    @Test func `measures each run by itself`() {
        let (first, second) = (CountingRun(), CountingRun())
        watch.during(first) { clock.advance(milliseconds: 10) }
        watch.during(second) {
            clock.advance(milliseconds: 1)
            watch.interrupt(olderThan: 5_000_000)
        }
        #expect(first.interrupts == 0)
        #expect(second.interrupts == 0)
    }

    @Test func `closing interrupts the run, and every run that follows`() {
        let (first, second) = (CountingRun(), CountingRun())
        watch.during(first) {
            watch.close()
            #expect(first.interrupts == 1)
        }
        watch.during(second) { #expect(second.interrupts == 1) }
    }

    @Test func `returns what the run returns`() {
        #expect(watch.during(CountingRun()) { 42 } == 42)
    }

    @Test func `no interrupt comes after the end while another thread interrupts all the time`() throws {
        let watch = watch
        let isOver = Flag()
        let interrupter = try #require(
            WorkerThread(name: "interrupter") { while !isOver.isRaised { watch.interrupt(olderThan: -1) } })
        let runs = (0..<20_000).map { _ in
            let run = CountingRun()
            watch.during(run) {}
            run.end()
            return run
        }
        isOver.raise()
        #expect(interrupter.join(withinSeconds: Gate.patience))
        #expect(runs.count { $0.lateInterrupts > 0 } == 0)
        #expect(runs.count { $0.interrupts > 1 } == 0)
    }
}

/// A script that runs a model, or waits for the server.
@Suite struct NestedRunWatchTests {
    private let clock = ManualClock()
    private let watch: RunWatch
    private let script = CountingRun()
    private let model = CountingRun()

    init() {
        watch = RunWatch(clock: clock.monotonic)
    }

    private var interrupts: [Int] { [script.interrupts, model.interrupts] }

    @Test func `what runs within an overdue run is interrupted with it`() {
        watch.during(script) {
            clock.advance(milliseconds: 10)
            watch.during(model) {
                watch.interrupt(olderThan: 10_000_000)
                #expect(interrupts == [0, 0])
                clock.advance(nanoseconds: 1)
                watch.interrupt(olderThan: 10_000_000)
                #expect(interrupts == [1, 1])
                clock.advance(milliseconds: 20)
                watch.interrupt(olderThan: 10_000_000)
                #expect(interrupts == [1, 1])
            }
        }
    }

    @Test func `what begins within an interrupted run is interrupted at once`() {
        watch.during(script) {
            clock.advance(milliseconds: 10)
            watch.interrupt(olderThan: 0)
            watch.during(model) { #expect(interrupts == [1, 1]) }
        }
        let next = CountingRun()
        watch.during(next) { #expect(next.interrupts == 0) }
    }

    @Test func `a run that has ended is not interrupted with the one around it`() {
        watch.during(script) {
            watch.during(model) {}
            clock.advance(milliseconds: 10)
            watch.interrupt(olderThan: 0)
        }
        #expect(interrupts == [1, 0])
    }

    @Test func `the outermost run tells how long the thread has been running`() {
        watch.during(script) {
            clock.advance(milliseconds: 10)
            watch.during(model) {
                #expect(watch.isRunning(longerThan: 9_999_999))
                #expect(!watch.isRunning(longerThan: 10_000_000))
            }
            #expect(watch.isRunning(longerThan: 9_999_999))
        }
        clock.advance(milliseconds: 10)
        #expect(!watch.isRunning(longerThan: 0))
    }

    @Test func `closing interrupts all runs, each once`() {
        watch.during(script) {
            watch.during(model) {
                watch.close()
                watch.close()
                clock.advance(milliseconds: 10)
                watch.interrupt(olderThan: 0)
                #expect(interrupts == [1, 1])
            }
            let next = CountingRun()
            watch.during(next) { #expect(next.interrupts == 1) }
        }
    }

    @Test func `time spent waiting for the server does not count`() {
        watch.during(script) {
            clock.advance(milliseconds: 3)
            watch.during(model) {
                watch.whileWaiting { clock.advance(milliseconds: 1_000) }
                clock.advance(milliseconds: 2)
                watch.interrupt(olderThan: 5_000_000)
                #expect(interrupts == [0, 0])
                #expect(!watch.isRunning(longerThan: 5_000_000))
                clock.advance(nanoseconds: 1)
                #expect(watch.isRunning(longerThan: 5_000_000))
                watch.interrupt(olderThan: 5_000_000)
                #expect(interrupts == [1, 1])
            }
        }
    }

    @Test func `a wait does not make a run overdue`() {
        watch.during(script) {
            watch.whileWaiting {
                #expect(watch.isWaiting)
                clock.advance(milliseconds: 10)
                watch.interrupt(olderThan: 5_000_000)
                #expect(!watch.isRunning(longerThan: 5_000_000))
            }
            #expect(!watch.isWaiting)
            watch.interrupt(olderThan: 5_000_000)
            #expect(interrupts == [0, 0])
        }
    }

    @Test func `an overdue run is interrupted while it waits, but not given up`() {
        watch.during(script) {
            clock.advance(milliseconds: 10)
            watch.whileWaiting {
                watch.interrupt(olderThan: 5_000_000)
                #expect(interrupts == [1, 0])
                #expect(!watch.isRunning(longerThan: 5_000_000))
            }
            #expect(watch.isRunning(longerThan: 5_000_000))
        }
    }

    @Test func `a wait that fails ends too`() {
        watch.during(script) {
            #expect(throws: InferenceError("failed")) {
                try watch.whileWaiting { () throws(InferenceError) in
                    clock.advance(milliseconds: 10)
                    throw InferenceError("failed")
                }
            }
            #expect(!watch.isWaiting)
            #expect(!watch.isRunning(longerThan: 0))
        }
    }

    @Test func `returns what the wait returns`() {
        #expect(watch.whileWaiting { 42 } == 42)
    }
}

/// A run that counts how often it is interrupted.
private final class CountingRun: Interruptible {
    private let count = Atomic(0)
    private let lateCount = Atomic(0)
    private let hasEnded = Atomic(false)

    var interrupts: Int { count.load(ordering: .sequentiallyConsistent) }
    var lateInterrupts: Int { lateCount.load(ordering: .sequentiallyConsistent) }

    func interrupt() {
        count.add(1, ordering: .sequentiallyConsistent)
        if hasEnded.load(ordering: .sequentiallyConsistent) { lateCount.add(1, ordering: .sequentiallyConsistent) }
    }

    func end() {
        hasEnded.store(true, ordering: .sequentiallyConsistent)
    }
}

private final class Flag: Sendable {
    private let value = Atomic(false)

    var isRaised: Bool { value.load(ordering: .sequentiallyConsistent) }

    func raise() {
        value.store(true, ordering: .sequentiallyConsistent)
    }
}
