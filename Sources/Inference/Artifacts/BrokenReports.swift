internal import Synchronization

/// Tells the operator which models and scripts cannot be used. Clients can store as many of them as they like where nobody
/// waits for an answer, so the lines are counted.
final class BrokenReports: Sendable {
    private static let linesPerMinute = 60
    private static let minute = 60_000_000_000

    private struct Minute {
        var start: Instant
        var lines = 0
    }

    private let clock: MonotonicClock
    private let current: Mutex<Minute>

    init(clock: MonotonicClock) {
        self.clock = clock
        current = Mutex(Minute(start: clock.now()))
    }

    func report(_ identity: ArtifactIdentity, _ error: InferenceError, to log: (String) -> Void) {
        let number = nextLine()
        guard number <= Self.linesPerMinute else { return }
        let kind = identity.kind.rawValue.lowercased()
        let name = "\(identity.backend.name) \(kind) '\(identity.readableKey)'"
        log("the \(name) is broken: \(error.message)" + (number == Self.linesPerMinute ? "; more are not listed" : ""))
    }

    /// The number of this line within its minute.
    private func nextLine() -> Int {
        let now = clock.now()
        return current.withLock { current in
            if now - current.start > Self.minute { current = Minute(start: now) }
            current.lines += 1
            return current.lines
        }
    }
}

extension ArtifactIdentity {
    private static let readableLength = 128

    /// The key for the eyes of an operator: one word of ASCII, `%` and two digits for every other byte, cut when it is long.
    public var readableKey: String {
        let isCut = key.count > Self.readableLength
        return key.prefix(Self.readableLength).map { byte in
            let isPlain = (0x21...0x7E).contains(byte) && !"%#,='\"".utf8.contains(byte)
            return isPlain
                ? String(UnicodeScalar(byte)) : "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
        }.joined() + (isCut ? "..." : "")
    }
}
