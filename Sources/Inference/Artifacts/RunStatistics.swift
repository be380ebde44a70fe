internal import Synchronization
internal import Tensors

/// What AI.INFO counts of a model. Updated by workers, read by anybody.
public final class RunStatistics: Sendable {
    /// The counts at one moment.
    public struct Snapshot: Sendable, Equatable {
        /// Run time of all successful runs in microseconds.
        public let duration: Int
        /// Rows produced: dimension 0 of the first output, summed.
        public let samples: Int
        public let calls: Int
        public let errors: Int
    }

    private let duration = Atomic(0)
    private let samples = Atomic(0)
    private let calls = Atomic(0)
    private let errors = Atomic(0)

    public init() {}

    public var snapshot: Snapshot {
        Snapshot(
            duration: duration.load(ordering: .relaxed), samples: samples.load(ordering: .relaxed),
            calls: calls.load(ordering: .relaxed), errors: errors.load(ordering: .relaxed))
    }

    /// A run that took less than a microsecond counts as one: the duration grows with every success. Sums wrap: a model
    /// may claim any number of rows, of no elements.
    func recordSuccess(microseconds: Int, samples rows: Int) {
        duration.wrappingAdd(max(1, microseconds), ordering: .relaxed)
        samples.wrappingAdd(rows, ordering: .relaxed)
        calls.wrappingAdd(1, ordering: .relaxed)
    }

    /// Counts a run by what it led to. The first output says how many rows there were.
    func record(_ result: Result<[Tensor?], InferenceError>, microseconds: Int) {
        switch result {
        case .success(let outputs):
            recordSuccess(microseconds: microseconds, samples: outputs.first??.batchSize ?? 0)
        case .failure: recordFailure()
        }
    }

    func recordFailure() {
        calls.wrappingAdd(1, ordering: .relaxed)
        errors.wrappingAdd(1, ordering: .relaxed)
    }

    public func reset() {
        duration.store(0, ordering: .relaxed)
        samples.store(0, ordering: .relaxed)
        calls.store(0, ordering: .relaxed)
        errors.store(0, ordering: .relaxed)
    }
}
