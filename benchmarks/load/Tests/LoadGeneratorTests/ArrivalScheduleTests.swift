import Testing

@testable import LoadGenerator

@Suite struct ArrivalScheduleTests {
    private func times(_ schedule: ArrivalSchedule, count: Int) -> [UInt64] {
        var schedule = schedule
        return (0..<count).map { _ in
            defer { schedule.advance() }
            return schedule.next
        }
    }

    @Test func constantArrivalsAreEvenlySpread() {
        let load = OpenLoad(rate: 1000, connections: 1, arrivals: .constant)
        let schedule = ArrivalSchedule(load, share: 0, of: 1, start: 5_000_000, seed: 1)
        #expect(times(schedule, count: 4) == [5_000_000, 6_000_000, 7_000_000, 8_000_000])
    }

    @Test func sharesInterleave() {
        let load = OpenLoad(rate: 1000, connections: 2, arrivals: .constant)
        let all = (0..<2).flatMap { share in
            times(ArrivalSchedule(load, share: share, of: 2, start: 0, seed: 1), count: 3)
        }
        #expect(all.sorted() == (0..<6).map { UInt64($0) * 1_000_000 })
    }

    @Test func poissonArrivalsHaveTheRateAndItsSpread() {
        let load = OpenLoad(rate: 1000, connections: 1)
        let count = 100_000
        let drawn = times(ArrivalSchedule(load, share: 0, of: 1, start: 0, seed: 7), count: count)
        let gaps = zip(drawn, drawn.dropFirst()).map { Double($1 - $0) }
        let mean = gaps.reduce(0, +) / Double(gaps.count)
        let variance = gaps.map { ($0 - mean) * ($0 - mean) }.reduce(0, +) / Double(gaps.count)
        #expect(abs(mean - 1_000_000) < 20_000)
        // Exponential gaps spread as much as they are long.
        #expect(abs(variance.squareRoot() - mean) < 30_000)
    }

    @Test func theSeedDecides() {
        let load = OpenLoad(rate: 1000, connections: 1)
        func drawn(seed: Int, share: Int = 0) -> [UInt64] {
            times(ArrivalSchedule(load, share: share, of: 2, start: 0, seed: seed), count: 10)
        }
        #expect(drawn(seed: 1) == drawn(seed: 1))
        #expect(drawn(seed: 1) != drawn(seed: 2))
        #expect(drawn(seed: 1) != drawn(seed: 1, share: 1))
    }
}
