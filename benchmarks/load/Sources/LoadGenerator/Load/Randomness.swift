import Glibc

/// SplitMix64: the same numbers for the same seed.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    /// - Parameter stream: makes generators with the same seed differ.
    init(seed: Int, stream: Int) {
        state = UInt64(bitPattern: Int64(seed)) &+ UInt64(truncatingIfNeeded: stream) &* 0xD1B5_4A32_D192_ED03
    }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}

/// When the requests of an open loop start, whatever becomes of earlier ones.
struct ArrivalSchedule {
    private let start: UInt64
    /// Nanoseconds between two requests, on average.
    private let interval: Double
    private let arrivals: OpenLoad.Arrivals
    private var generator: SeededGenerator
    /// Nanoseconds from the start to the next request.
    private var offset: Double
    private(set) var next: UInt64

    /// One of `shares` schedules that have the load's rate together, and with constant arrivals equal distances.
    init(_ load: OpenLoad, share: Int, of shares: Int, start: UInt64, seed: Int) {
        self.start = start
        arrivals = load.arrivals
        interval = Double(Clock.second) * Double(shares) / load.rate
        // Not the numbers that choose the requests.
        generator = SeededGenerator(seed: ~seed, stream: share)
        offset = load.arrivals == .constant ? interval * Double(share) / Double(shares) : 0
        next = start
        if arrivals == .poisson { advance() } else { next = start + UInt64(offset) }
    }

    mutating func advance() {
        switch arrivals {
        case .constant: offset += interval
        case .poisson: offset -= log(Double.random(in: Double.leastNonzeroMagnitude..<1, using: &generator)) * interval
        }
        next = start + UInt64(offset)
    }
}
