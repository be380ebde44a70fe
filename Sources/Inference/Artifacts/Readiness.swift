internal import Synchronization

/// The way of an artifact from loading to ready or broken, and the engine's form of it.
///
/// What loading has led to is read without a lock: on every request, and in the forked process that saves the data file,
/// where a lock could be held by a thread that does not exist there.
final class Readiness<Loaded: Sendable>: Sendable {
    /// What loading has led to, written once.
    private final class Outcome: @unchecked Sendable {
        let error: InferenceError?
        let queue: DeviceQueue?
        /// The one lasting reference to the engine's form. Taken away by ``surrender()`` only.
        var loaded: Loaded?

        init(_ result: consuming Result<(Loaded, DeviceQueue), InferenceError>) {
            switch result {
            case .success(let (loaded, queue)):
                self.loaded = loaded
                self.queue = queue
                error = nil
            case .failure(let error):
                loaded = nil
                queue = nil
                self.error = error
            }
        }
    }

    private let outcome = AtomicLazyReference<Outcome>()
    private let isQuarantined = Atomic(false)
    /// Told once when the artifact has stopped loading; nil from then on.
    private let waiters = Mutex<[@Sendable () -> Void]?>([])

    var phase: ArtifactPhase {
        if isQuarantined.load(ordering: .relaxed) { return .broken(.runDidNotEnd) }
        guard let outcome = outcome.load() else { return .loading }
        return outcome.error.map { .broken($0) } ?? .ready
    }

    /// The engine's form; nil while it is being loaded or when it may not run.
    var loaded: Loaded? { isQuarantined.load(ordering: .relaxed) ? nil : built }
    /// The engine's form, even of an artifact that may not run any more.
    var built: Loaded? { outcome.load()?.loaded }
    /// Where requests wait, once the artifact is ready.
    var queue: DeviceQueue? { isQuarantined.load(ordering: .relaxed) ? nil : outcome.load()?.queue }

    /// Ends the loading phase. Returns who is to be told: by a caller that no longer holds the artifact, so that it goes
    /// when those who were told let go of it.
    func finish(
        _ result: consuming Result<(Loaded, DeviceQueue), InferenceError>
    ) -> [@Sendable () -> Void] {
        _ = outcome.storeIfNil(Outcome(result))
        return waiters.withLock { $0.take() ?? [] }
    }

    func whenLoaded(_ body: @escaping @Sendable () -> Void) {
        let isWaiting = waiters.withLock { $0?.append(body) != nil }
        if !isWaiting { body() }
    }

    var waiterCount: Int { waiters.withLock { $0?.count ?? 0 } }

    func quarantine() {
        isQuarantined.store(true, ordering: .relaxed)
    }

    /// Gives the engine's form away. For the artifact's `deinit`: nobody else can be looking.
    func surrender() -> Loaded? {
        outcome.load()?.loaded.take()
    }
}
