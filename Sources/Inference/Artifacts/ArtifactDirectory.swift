internal import Synchronization

/// The models and scripts that exist, by the key they were stored under: what AI.INFO and the scans answer from.
///
/// An entry appears when an artifact is made and goes with its last reference. All databases share the directory; of two
/// artifacts stored under one name the later is listed.
public final class ArtifactDirectory: Sendable {
    /// What is known of an artifact by name.
    public struct Entry: Sendable {
        public let identity: ArtifactIdentity
        public let statistics: RunStatistics
        fileprivate let progress: any ArtifactProgress
        fileprivate let object: ObjectIdentifier

        /// How far the artifact has come; nil once it has gone.
        public var phase: ArtifactPhase? { progress.progress }
    }

    private let entries = Mutex<[[UInt8]: Entry]>([:])

    public func entry(for key: [UInt8]) -> Entry? {
        entries.withLock { $0[key] }
    }

    /// How many artifacts are in which phase.
    public struct PhaseCounts: Sendable, Equatable {
        public internal(set) var loading = 0
        public internal(set) var ready = 0
        public internal(set) var broken = 0
    }

    public func phaseCounts(of kind: ArtifactIdentity.Kind) -> PhaseCounts {
        var counts = PhaseCounts()
        for entry in entries.withLock({ Array($0.values) }) where entry.identity.kind == kind {
            switch entry.phase {
            case .loading: counts.loading += 1
            case .ready: counts.ready += 1
            case .broken: counts.broken += 1
            case nil: break
            }
        }
        return counts
    }

    /// Entries that are broken, with the reasons, in ascending order of their keys; `limit` at most.
    public func broken(limit: Int) -> [(entry: Entry, error: InferenceError)] {
        let broken = entries.withLock { Array($0.values) }.compactMap { entry in
            if case .broken(let error) = entry.phase { (entry: entry, error: error) } else { nil }
        }
        return broken.sorted { $0.entry.identity.key.lexicographicallyPrecedes($1.entry.identity.key) }.prefix(limit)
            .map { $0 }
    }

    /// All entries of a kind in ascending order of their keys.
    public func sorted(_ kind: ArtifactIdentity.Kind) -> [Entry] {
        entries.withLock { $0.values.filter { $0.identity.kind == kind } }
            .sorted { $0.identity.key.lexicographicallyPrecedes($1.identity.key) }
    }

    /// Lists an artifact, in the place of an earlier one stored under the same name.
    public func add(_ artifact: any Artifact) {
        let entry = Entry(
            identity: artifact.identity, statistics: artifact.statistics, progress: artifact.progress,
            object: ObjectIdentifier(artifact))
        entries.withLock { $0[artifact.identity.key] = entry }
    }

    func remove(_ artifact: RetiredArtifact) {
        entries.withLock { entries in
            if entries[artifact.key]?.object == artifact.object { entries[artifact.key] = nil }
        }
    }
}
