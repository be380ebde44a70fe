internal import Synchronization

/// The way of an artifact from loading to ready or broken, and the engine's form of it.
///
/// What loading has led to is read without a lock: on every request, and in the forked process that saves the data file,
/// where a lock could be held by a thread that does not exist there.
final class Readiness<Loaded: Sendable>: ArtifactProgress {
    /// What loading has led to.
    private final class Outcome: @unchecked Sendable {
        let error: InferenceError?
        let queue: DeviceQueue?
        /// The one lasting reference to the engine's form. Taken away by ``surrender()`` only.
        var loaded: Loaded?
        private let charge: EngineMemory.Charge?

        init(_ result: consuming Result<(Loaded, DeviceQueue), InferenceError>, _ engine: String) {
            switch result {
            case .success(let (loaded, queue)):
                charge = (loaded as? any LoadedModel).map { EngineMemory.Charge(engine, $0.memoryUsage) }
                self.loaded = loaded
                self.queue = queue
                error = nil
            case .failure(let error):
                charge = nil
                loaded = nil
                queue = nil
                self.error = error
            }
        }
    }

    /// Nil while loading. Owns a reference, which lives as long as this object; read without counting it.
    private let storedOutcome = Atomic<Unmanaged<Outcome>?>(nil)
    private let isQuarantined = Atomic(false)
    /// Whether the artifact has gone.
    private let isSurrendered = Atomic(false)
    /// Told once when the artifact has stopped loading; nil from then on.
    private let waiters = Mutex<[@Sendable () -> Void]?>([])
    /// Failures that ``restart()`` has taken back. They stay: somebody may be reading one. Guarded by `waiters`.
    nonisolated(unsafe) private var formerOutcomes: [Unmanaged<Outcome>] = []

    /// Under whose name the memory is counted.
    private let engine: String

    init(engine: String = "") {
        self.engine = engine
    }

    deinit {
        storedOutcome.load(ordering: .acquiring)?.release()
        for outcome in formerOutcomes { outcome.release() }
    }

    private var outcome: Outcome? { storedOutcome.load(ordering: .acquiring)?._withUnsafeGuaranteedRef { $0 } }

    var phase: ArtifactPhase {
        if isQuarantined.load(ordering: .relaxed) { return .broken(.runDidNotEnd) }
        guard let outcome else { return .loading }
        return outcome.error.map { .broken($0) } ?? .ready
    }

    /// The engine's form; nil while it is being loaded or when it may not run.
    var loaded: Loaded? { isQuarantined.load(ordering: .relaxed) ? nil : built }
    /// The engine's form, even of an artifact that may not run any more.
    var built: Loaded? { outcome?.loaded }
    /// Where requests wait, once the artifact is ready.
    var queue: DeviceQueue? { isQuarantined.load(ordering: .relaxed) ? nil : outcome?.queue }

    var progress: ArtifactPhase? { isAbandoned ? nil : phase }

    /// Whether nobody has the artifact any more: building it is of no use.
    var isAbandoned: Bool { isSurrendered.load(ordering: .acquiring) }

    /// Ends the loading phase, unless the artifact has gone meanwhile. Returns who is to be told.
    func finish(
        _ result: consuming Result<(Loaded, DeviceQueue), InferenceError>
    ) -> [@Sendable () -> Void] {
        // What is not kept goes here, outside of the lock, in the loader's thread.
        let outcome = Outcome(result, engine)
        return waiters.withLock { waiters in
            if !isAbandoned && self.outcome == nil { storedOutcome.store(.passRetained(outcome), ordering: .releasing) }
            return waiters.take() ?? []
        }
    }

    /// Goes back to loading, when the artifact is broken because its engine was not there. False in any other phase.
    func restart() -> Bool {
        waiters.withLock { waiters in
            guard !isAbandoned, outcome?.error == .couldNotLoadBackend,
                let former = storedOutcome.exchange(nil, ordering: .acquiringAndReleasing)
            else { return false }
            formerOutcomes.append(former)
            waiters = []
            return true
        }
    }

    func whenLoaded(_ body: @escaping @Sendable () -> Void) {
        let isWaiting = waiters.withLock { $0?.append(body) != nil }
        if !isWaiting { body() }
    }

    var waiterCount: Int { waiters.withLock { $0?.count ?? 0 } }

    func quarantine() {
        isQuarantined.store(true, ordering: .relaxed)
    }

    /// Gives the engine's form away. For the artifact's `deinit`: nobody else can be looking, but a loader may just have built
    /// it.
    func surrender() -> Loaded? {
        waiters.withLock { _ in
            isSurrendered.store(true, ordering: .releasing)
            return outcome?.loaded.take()
        }
    }
}
