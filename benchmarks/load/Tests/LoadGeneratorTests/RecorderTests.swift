import Histogram
import Testing

@testable import LoadGenerator

@Suite struct RecorderTests {
    private static let second = Clock.second
    private static let window = Window(start: 10 * second, end: 12 * second)

    @Test func percentiles() throws {
        var recorder = Recorder(window: Self.window)
        for micros in UInt64(1)...1000 {
            recorder.record(intended: Self.window.start, ended: Self.window.start + micros * 1000, failure: nil)
        }
        let summary = try #require(LatencySummary(recorder.latency))
        func isClose(_ value: Double, _ expected: Double) -> Bool { abs(value - expected) <= expected * 0.002 }
        #expect(isClose(summary.min, 1) || summary.min <= 1.1)
        #expect(isClose(summary.mean, 500.5))
        #expect(isClose(summary.p50, 500))
        #expect(isClose(summary.p90, 900))
        #expect(isClose(summary.p99, 990))
        #expect(isClose(summary.p999, 999))
        #expect(isClose(summary.max, 1000))
        let distribution = recorder.latency.distribution
        #expect(distribution.first?[0] == 0)
        #expect(distribution.last?[0] == 100)
        #expect(distribution.map { $0[1] } == distribution.map { $0[1] }.sorted())
    }

    @Test func noLatenciesNoSummary() {
        #expect(LatencySummary(Recorder(window: Self.window).latency) == nil)
        #expect(Recorder(window: Self.window).latency.distribution.isEmpty)
    }

    @Test func warmUpIsNotCountedButLateRepliesAre() {
        var recorder = Recorder(window: Self.window)
        // Within the warm-up, into the window, from the window into the time after it, and after it.
        recorder.record(intended: 9 * Self.second, ended: 9 * Self.second + 5, failure: nil)
        recorder.record(intended: 9 * Self.second, ended: 10 * Self.second, failure: nil)
        recorder.record(intended: 11 * Self.second, ended: 14 * Self.second, failure: nil)
        recorder.record(intended: 12 * Self.second, ended: 13 * Self.second, failure: nil)
        #expect(recorder.completed == 1)
        #expect(recorder.latency.totalCount == 1)
        #expect(recorder.answered == 1)
        #expect(recorder.seconds.map(\.answered) == [1])
    }

    @Test func errorsAreNoCompletions() {
        var recorder = Recorder(window: Self.window)
        recorder.record(intended: 10 * Self.second, ended: 11 * Self.second, failure: "ERR no")
        recorder.record(intended: 9 * Self.second, ended: 9 * Self.second, failure: "ERR before")
        recorder.record(incident: "overload", at: 11 * Self.second, times: 3)
        #expect(recorder.completed == 0)
        #expect(recorder.errors.byText == ["ERR no": 1, "overload": 3])
        #expect(recorder.seconds.map(\.errors) == [0, 4])
    }

    @Test func recordersAdd() {
        var sum = Recorder(window: Self.window)
        for start in [10 * Self.second, 11 * Self.second] {
            var part = Recorder(window: Self.window)
            part.record(intended: start, ended: start + 1000, failure: nil)
            part.record(intended: start, ended: start + 1000, failure: "ERR")
            sum.add(part)
        }
        #expect(sum.completed == 2)
        #expect(sum.latency.totalCount == 2)
        #expect(sum.seconds.map(\.answered) == [1, 1])
        #expect(sum.errors.byText == ["ERR": 2])
    }

    @Test func textsWithoutEndAreBounded() {
        var errors = ErrorCounts()
        for index in 0..<1000 { errors.count("error \(index)") }
        #expect(errors.byText.count == 101)
        #expect(errors.byText["further errors"] == 900)
        #expect(errors.total == 1000)
    }

    @Test func clocksThatGoBackDoNotTrap() {
        var recorder = Recorder(window: Self.window)
        recorder.record(intended: 11 * Self.second, ended: 10 * Self.second, failure: nil)
        recorder.record(intended: 11 * Self.second, ended: .max, failure: nil)
        #expect(recorder.completed == 2)
    }
}
