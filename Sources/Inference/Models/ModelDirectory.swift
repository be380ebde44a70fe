internal import Synchronization

/// The models that exist, by the key they were stored under: what AI.INFO and AI._MODELSCAN answer from.
///
/// An entry appears when a model is made and goes with its last reference. All databases share the directory; of two
/// models stored under one name the later is listed.
public final class ModelDirectory: Sendable {
    /// What is known of a model by name.
    public struct Entry: Sendable {
        public let definition: ModelDefinition
        public let statistics: RunStatistics
        /// The model, unless its last reference has just gone.
        fileprivate weak var model: Model?
        fileprivate let identity: ObjectIdentifier
    }

    private let entries = Mutex<[[UInt8]: Entry]>([:])

    public func entry(for key: [UInt8]) -> Entry? {
        entries.withLock { $0[key] }
    }

    /// How many models are in which phase.
    public struct PhaseCounts: Sendable, Equatable {
        public internal(set) var loading = 0
        public internal(set) var ready = 0
        public internal(set) var broken = 0
    }

    public var phaseCounts: PhaseCounts {
        var counts = PhaseCounts()
        for entry in entries.withLock({ Array($0.values) }) {
            switch entry.model?.phase {
            case .loading: counts.loading += 1
            case .ready: counts.ready += 1
            case .broken: counts.broken += 1
            case nil: break
            }
        }
        return counts
    }

    /// All entries in ascending order of their keys.
    public var sorted: [Entry] {
        entries.withLock { Array($0.values) }
            .sorted { $0.definition.key.lexicographicallyPrecedes($1.definition.key) }
    }

    /// Lists a model, in the place of an earlier one stored under the same name.
    public func add(_ model: Model) {
        let entry = Entry(
            definition: model.definition, statistics: model.statistics, model: model, identity: ObjectIdentifier(model))
        entries.withLock { $0[model.definition.key] = entry }
    }

    func remove(_ model: Model) {
        let identity = ObjectIdentifier(model)
        let key = model.definition.key
        entries.withLock { entries in
            if entries[key]?.identity == identity { entries[key] = nil }
        }
    }
}
