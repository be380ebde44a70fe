import Glibc
import Histogram

/// The usual percentiles; microseconds.
public struct LatencySummary: Encodable, Sendable, Equatable {
    let min: Double
    let mean: Double
    public let p50: Double
    let p90: Double
    public let p99: Double
    let p999: Double
    let p9999: Double
    public let max: Double

    enum CodingKeys: String, CodingKey {
        case min, mean, p50, p90, p99
        case p999 = "p99.9"
        case p9999 = "p99.99"
        case max
    }

    /// - Parameter histogram: of nanoseconds. There is no summary of nothing.
    init?(_ histogram: Histogram<UInt64>) {
        guard histogram.totalCount > 0 else { return nil }
        func percentile(_ percentile: Double) -> Double { microseconds(histogram.valueAtPercentile(percentile)) }
        min = microseconds(histogram.min)
        mean = histogram.mean / 1000
        p50 = percentile(50)
        p90 = percentile(90)
        p99 = percentile(99)
        p999 = percentile(99.9)
        p9999 = percentile(99.99)
        max = microseconds(histogram.maxRecorded)
    }
}

extension Histogram<UInt64> {
    /// About a hundred pairs of percentile and microseconds, the closer together the higher, for plots with a logarithmic
    /// axis. Percentiles that so few values cannot tell are left out.
    var distribution: [[Double]] {
        guard totalCount > 0 else { return [] }
        let stepsPerDigit = 20.0
        let points = (0...100).map { step in 1 - pow(10, -Double(step) / stepsPerDigit) }
        let told = points.filter { $0 == 0 || (1 - $0) * Double(totalCount) >= 1 }
        return told.map { [$0 * 100, microseconds(valueAtPercentile($0 * 100))] } + [[100, microseconds(maxRecorded)]]
    }
}
