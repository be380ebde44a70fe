internal import Synchronization

/// What has been tried out successfully in this process: storing the same again need not try it again.
///
/// Clients store one model on several devices or under several names, and some send a store again when the answer takes
/// longer than they wait.
final class PassedTrials: Sendable {
    /// Two hashes with keys that nobody outside of the process knows: what else has the same ones cannot be looked for.
    struct Fingerprint: Hashable {
        private let first: Int
        private let second: Int

        init(_ request: ModelCheckRequest, _ content: ModelBlob) {
            first = Self.hash(0, request, content)
            second = Self.hash(1, request, content)
        }

        private static func hash(_ number: Int, _ request: ModelCheckRequest, _ content: ModelBlob) -> Int {
            var hasher = Hasher()
            hasher.combine(number)
            hasher.combine(request.arguments)
            for chunk in content.chunks {
                hasher.combine(chunk.byteCount)
                chunk.withBytes { hasher.combine(bytes: $0) }
            }
            return hasher.finalize()
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
