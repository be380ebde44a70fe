internal import Synchronization
internal import Tensors

/// A stored model: what the client gave, and the engine's form of it once that is ready.
///
/// A model is *loading* until its engine has built it, then *ready* or, with the reason, *broken*. Requests that come
/// while it loads wait for it. What it has become is read without a lock: on every request, and in the forked process
/// that saves the data file, where a lock could be held by a thread that does not exist there.
public final class Model: Sendable {
    public enum Phase: Sendable {
        case loading
        case ready(any LoadedModel)
        case broken(InferenceError)
    }

    public let definition: ModelDefinition
    public let statistics = RunStatistics()

    /// What loading has led to, written once.
    private final class Outcome: Sendable {
        let result: Result<ReadyModel, InferenceError>

        init(_ result: Result<ReadyModel, InferenceError>) {
            self.result = result
        }
    }
    private let outcome = AtomicLazyReference<Outcome>()
    private let isQuarantined = Atomic(false)
    /// The one reference to the engine's form, so that `deinit` can give it away.
    private let owned = Mutex<(any LoadedModel)?>(nil)
    /// Told once when the model has stopped loading; nil from then on.
    private let waiters = Mutex<[@Sendable () -> Void]?>([])
    private let retire: @Sendable (Model, consuming (any LoadedModel)?) -> Void

    /// - Parameter retire: told when the last reference goes: with the engine's form, which is not to be freed in
    ///   whatever thread that happens to be.
    init(_ definition: ModelDefinition, retire: @escaping @Sendable (Model, consuming (any LoadedModel)?) -> Void) {
        self.definition = definition
        self.retire = retire
    }

    deinit {
        retire(self, owned.withLock { $0.take() })
    }

    public var phase: Phase {
        if isQuarantined.load(ordering: .relaxed) { return .broken(.runDidNotEnd) }
        return switch outcome.load()?.result {
        case nil: .loading
        case .success(let ready): .ready(ready.model)
        case .failure(let error): .broken(error)
        }
    }

    /// The engine's form with the queue of its device; nil while the model is loading or when it is broken.
    var ready: ReadyModel? { isQuarantined.load(ordering: .relaxed) ? nil : built }

    private var built: ReadyModel? { try? outcome.load()?.result.get() }

    /// The engine's form; nil while the model is loading or when it is broken.
    public var loaded: (any LoadedModel)? { ready?.model }

    public var inputNames: [String] { built?.model.inputNames ?? definition.inputNames }
    public var outputNames: [String] { built?.model.outputNames ?? definition.outputNames }
    /// Bytes that the engine holds for the model.
    public var engineMemoryUsage: Int { built?.model.memoryUsage ?? 0 }
}

/// A model that its engine has built, and the queue in which its requests wait.
struct ReadyModel: @unchecked Sendable {
    /// Not counted: the `Model` owns it, and must be the only one when it goes.
    unowned(unsafe) let model: any LoadedModel
    let queue: DeviceQueue
}

// MARK: Loading

extension Model {
    /// Ends the loading phase. Returns who is to be told: by a caller that no longer holds the model, so that it goes
    /// when those who were told let go of it.
    func finishLoading(
        _ result: consuming Result<(any LoadedModel, DeviceQueue), InferenceError>
    ) -> [@Sendable () -> Void] {
        let ready = result.map { model, queue in
            owned.withLock { $0 = model }
            return ReadyModel(model: model, queue: queue)
        }
        _ = outcome.storeIfNil(Outcome(ready))
        return waiters.withLock { $0.take() ?? [] }
    }

    /// Calls `body` when the model has stopped loading: at once in the calling thread if it has, else later in
    /// another thread.
    func whenLoaded(_ body: @escaping @Sendable () -> Void) {
        let isWaiting = waiters.withLock { $0?.append(body) != nil }
        if !isWaiting { body() }
    }

    /// Requests that wait for the model to be loaded.
    var waiterCount: Int { waiters.withLock { $0?.count ?? 0 } }

    /// Why the model does not run.
    var brokenError: InferenceError {
        if case .broken(let error) = phase { .modelIsBroken(error.message) } else { .modelIsBroken("it is not loaded") }
    }
}

// MARK: Running

extension Model {
    /// Makes the model refuse to run, because a run of it did not end.
    func quarantine() {
        isQuarantined.store(true, ordering: .relaxed)
    }

    /// Runs the model. The counts are checked here because they were not known when a request for a loading model
    /// was accepted.
    func run(_ inputs: [Tensor], outputCount: Int, watch: RunWatch) throws(InferenceError) -> [Tensor?] {
        guard let loaded else { throw brokenError }
        guard inputs.count == loaded.inputNames.count else { throw .wrongInputCount }
        guard outputCount == loaded.outputNames.count else { throw .wrongOutputCount }
        let outputs = try loaded.run(inputs, watch: watch)
        guard outputs.count == outputCount else { throw .unexpectedOutputCount }
        return outputs
    }
}
