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
