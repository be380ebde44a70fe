internal import Synchronization
internal import Tensors

/// What runs of one model have cost lately, by the shapes of their inputs.
final class RunCosts: Sendable {
    private struct Entry {
        var signature = 0
        /// Nanoseconds, as a moving average.
        var average = 0
        /// Runs until the figure may be relied on.
        var missingRuns = RunCosts.provingRuns
    }

    /// Runs that a combination of shapes has to show what it costs.
    static let provingRuns = 8
    /// Combinations of shapes that are kept.
    private static let capacity = 8

    private let entries = Mutex(InlineArray<8, Entry>(repeating: Entry()))

    /// Notes what a run has cost.
    func record(_ nanoseconds: Int, _ signature: Int) {
        let index = Self.index(signature)
        entries.withLock { entries in
            var entry = entries[index]
            if entry.signature != signature { entry = Entry(signature: signature, average: nanoseconds) }
            entry.average += (nanoseconds - entry.average) / 8
            entry.missingRuns = max(0, entry.missingRuns - 1)
            entries[index] = entry
        }
    }

    /// Notes that a run has cost much more than ever before: the shapes have to prove themselves again, for longer.
    func distrust(_ signature: Int) {
        let index = Self.index(signature)
        entries.withLock { entries in
            if entries[index].signature == signature { entries[index].missingRuns = 8 * Self.provingRuns }
        }
    }

    /// Nanoseconds that a run will probably cost; nil when too few have shown it.
    func estimate(_ signature: Int) -> Int? {
        let index = Self.index(signature)
        return entries.withLock { entries in
            let entry = entries[index]
            return entry.signature == signature && entry.missingRuns == 0 ? entry.average : nil
        }
    }

    private static func index(_ signature: Int) -> Int { Int(UInt(bitPattern: signature) % UInt(capacity)) }

    /// A number for batches of about as many rows: up to the next power of two. Each such size of one model has an entry of
    /// its own; nil for larger ones.
    static func signature(of key: BatchKey, rows: Int) -> Int? {
        let magnitude = Int.bitWidth - max(0, rows - 1).leadingZeroBitCount
        return magnitude < capacity ? key.hashValue &* capacity &+ magnitude : nil
    }

    /// A number for the data types and shapes of `inputs`.
    static func signature(of inputs: [Tensor]) -> Int {
        // FNV-1a, by words.
        var hash: UInt = 0xCBF2_9CE4_8422_2325
        func mix(_ word: Int) { hash = (hash ^ UInt(bitPattern: word)) &* 0x100_0000_01B3 }
        for input in inputs {
            mix(Int(input.dataType.rawValue))
            mix(input.shape.rank)
            for index in 0..<input.shape.rank { mix(input.shape[index]) }
        }
        return Int(bitPattern: hash)
    }
}
