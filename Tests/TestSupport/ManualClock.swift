public import Inference
import Synchronization

/// A clock that stands still until a test moves it.
public final class ManualClock: Sendable {
    private let nanoseconds = Atomic(1_000_000_000)

    public init() {}

    public func advance(nanoseconds count: Int) {
        nanoseconds.add(count, ordering: .sequentiallyConsistent)
    }

    public func advance(microseconds count: Int) {
        advance(nanoseconds: count * 1_000)
    }

    public func advance(milliseconds count: Int) {
        advance(nanoseconds: count * 1_000_000)
    }

    /// The clock in the form that product code takes.
    public var monotonic: MonotonicClock {
        MonotonicClock { [self] in Instant(nanoseconds: nanoseconds.load(ordering: .sequentiallyConsistent)) }
    }
}
