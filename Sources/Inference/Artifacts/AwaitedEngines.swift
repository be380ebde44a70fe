internal import Synchronization

/// Models and scripts that are broken because their engine is not there, and how to build each of them when it has come.
///
/// Known by their progress objects: an entry does not keep the artifact, and goes with it.
final class AwaitedEngines: Sendable {
    typealias Rebuild = @Sendable () -> Void

    private let rebuilds = Mutex<[String: [ObjectIdentifier: Rebuild]]>([:])

    func add(_ progress: some ArtifactProgress, of backend: BackendDescription, rebuild: @escaping Rebuild) {
        rebuilds.withLock { $0[backend.name, default: [:]][ObjectIdentifier(progress)] = rebuild }
    }

    /// The artifact has gone.
    func remove(_ progress: ObjectIdentifier) {
        // Let go outside of the lock: a job holds the bytes of its model.
        let removed = rebuilds.withLock { rebuilds in
            rebuilds.isEmpty ? [] : rebuilds.keys.map { rebuilds[$0]?.removeValue(forKey: progress) }
        }
        _ = consume removed
    }

    /// The jobs of everything that waits for this engine: each is given away once.
    func take(_ backend: BackendDescription) -> [Rebuild] {
        rebuilds.withLock { $0.removeValue(forKey: backend.name).map { Array($0.values) } ?? [] }
    }
}
