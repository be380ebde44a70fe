internal import Glibc

/// A point on the monotonic clock, in nanoseconds.
public struct Instant: Comparable, Sendable {
    public var nanoseconds: Int

    public init(nanoseconds: Int) {
        self.nanoseconds = nanoseconds
    }

    public static func < (left: Instant, right: Instant) -> Bool {
        left.nanoseconds < right.nanoseconds
    }

    public static func - (left: Instant, right: Instant) -> Int {
        left.nanoseconds - right.nanoseconds
    }
}

/// The earlier of two moments, where nil stands for never.
func earliest(_ left: Instant?, _ right: Instant?) -> Instant? {
    guard let left, let right else { return left ?? right }
    return min(left, right)
}

extension Int {
    /// `self + count * unit`, or the largest number where that is larger still. Neither is negative.
    func clampedAdding(_ count: Int, by unit: Int) -> Int {
        let (product, overflowed) = count.multipliedReportingOverflow(by: unit)
        let (sum, overflowedToo) = addingReportingOverflow(product)
        return overflowed || overflowedToo ? .max : sum
    }
}

/// Where the time comes from: the system's monotonic clock, or a clock that a test moves.
public struct MonotonicClock: Sendable {
    public let now: @Sendable () -> Instant

    public init(now: @escaping @Sendable () -> Instant) {
        self.now = now
    }

    public static let system = MonotonicClock {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Instant(nanoseconds: time.tv_sec * 1_000_000_000 + time.tv_nsec)
    }
}
