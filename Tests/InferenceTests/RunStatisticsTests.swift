import Testing

@testable import Inference

@Suite struct RunStatisticsTests {
    @Test func `start at zero`() {
        #expect(RunStatistics().snapshot == .init(duration: 0, samples: 0, calls: 0, errors: 0))
    }

    @Test func `add up successes`() {
        let statistics = RunStatistics()
        statistics.recordSuccess(microseconds: 250, samples: 4)
        statistics.recordSuccess(microseconds: 50, samples: 1)
        #expect(statistics.snapshot == .init(duration: 300, samples: 5, calls: 2, errors: 0))
    }

    @Test(arguments: [0, 1, -3])
    func `grow by at least a microsecond with each success`(microseconds: Int) {
        let statistics = RunStatistics()
        statistics.recordSuccess(microseconds: microseconds, samples: 0)
        #expect(statistics.snapshot.duration == 1)
    }

    @Test func `count failures as calls that take no time`() {
        let statistics = RunStatistics()
        statistics.recordFailure()
        statistics.recordFailure()
        #expect(statistics.snapshot == .init(duration: 0, samples: 0, calls: 2, errors: 2))
    }

    @Test func `are zero again after a reset`() {
        let statistics = RunStatistics()
        statistics.recordSuccess(microseconds: 9, samples: 9)
        statistics.recordFailure()
        statistics.reset()
        #expect(statistics.snapshot == RunStatistics().snapshot)
    }
}
