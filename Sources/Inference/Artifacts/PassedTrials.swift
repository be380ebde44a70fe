internal import Synchronization

/// What has been tried out successfully in this process: storing the same again need not try it again.
///
/// Clients store one model on several devices or under several names, and some send a store again when the answer takes
/// longer than they wait.
final class PassedTrials: Sendable {
    /// A hash with a key that nobody outside of the process knows: what else has the same one cannot be looked for, and is
    /// met by chance once in 2^56 stores.
    struct Fingerprint: Hashable {
        private let hash: Int

        init(_ request: ModelCheckRequest, _ content: ModelBlob) {
            var hasher = Hasher()
            hasher.combine(request.arguments)
            for chunk in content.chunks {
                hasher.combine(chunk.byteCount)
                chunk.withBytes { hasher.combine(bytes: $0) }
            }
            hash = hasher.finalize()
        }
    }

    /// Trials that are remembered.
    private static let capacity = 256

    /// In the order of their ends.
    private let fingerprints = Mutex<[Fingerprint]>([])

    func contains(_ fingerprint: Fingerprint) -> Bool {
        fingerprints.withLock { $0.contains(fingerprint) }
    }

    func insert(_ fingerprint: Fingerprint) {
        fingerprints.withLock { fingerprints in
            if fingerprints.count == Self.capacity { fingerprints.removeFirst() }
            fingerprints.append(fingerprint)
        }
    }
}
