internal import Synchronization

/// The bytes that models take, and what each engine takes for them, as far as it can tell.
public enum EngineMemory {
    private static let byEngine = Mutex<[String: Int]>([:])
    private static let content = Atomic(0)

    /// Bytes of all models of an engine once it has built them.
    public static func bytes(of engine: String) -> Int { byEngine.withLock { $0[engine] ?? 0 } }
    /// Bytes of all models as clients sent them.
    public static var contentBytes: Int { content.load(ordering: .relaxed) }

    /// What a model takes, counted for as long as this lives.
    final class Charge: Sendable {
        private let engine: String
        private let bytes: Int

        init(_ engine: String, _ bytes: Int) {
            self.engine = engine
            self.bytes = bytes
            EngineMemory.byEngine.withLock { $0[engine, default: 0] &+= bytes }
        }

        deinit {
            EngineMemory.byEngine.withLock { [engine, bytes] in $0[engine, default: 0] &-= bytes }
        }
    }

    /// A model's own bytes, counted for as long as this lives.
    final class ContentCharge: Sendable {
        private let bytes: Int

        init(_ bytes: Int) {
            self.bytes = bytes
            content.wrappingAdd(bytes, ordering: .relaxed)
        }

        deinit {
            content.wrappingSubtract(bytes, ordering: .relaxed)
        }
    }
}
