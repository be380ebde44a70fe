internal import Synchronization
internal import Tensors

/// A stored model: what the client gave, and the engine's form of it once that is ready.
///
/// A model is *loading* until its engine has built it, then *ready* or, with the reason, *broken*. Requests that come
/// while it loads wait for it.
public final class Model: Sendable {
    public enum Phase: Sendable {
        case loading
        case ready(any LoadedModel)
        case broken(InferenceError)
    }

    public let definition: ModelDefinition
    public let statistics = RunStatistics()

    private struct State {
        var phase: Phase = .loading
        /// Where requests go once the model is ready.
        var queue: DeviceQueue?
        /// Told once when the model has stopped loading.
        var waiters: [@Sendable (Model) -> Void] = []
    }
    private let state = Mutex(State())
    private let retire: @Sendable (Model, (any LoadedModel)?) -> Void

    /// - Parameter retire: told when the last reference goes: with the engine's form, which is not to be freed in
    ///   whatever thread that happens to be.
    init(_ definition: ModelDefinition, retire: @escaping @Sendable (Model, (any LoadedModel)?) -> Void) {
        self.definition = definition
        self.retire = retire
    }

    deinit {
        retire(self, loaded)
    }

    public var phase: Phase { state.withLock { $0.phase } }

    /// The engine's form; nil while the model is loading or when it is broken.
    public var loaded: (any LoadedModel)? {
        if case .ready(let loaded) = phase { loaded } else { nil }
    }

    public var inputNames: [String] { loaded?.inputNames ?? definition.inputNames }
    public var outputNames: [String] { loaded?.outputNames ?? definition.outputNames }

    /// The queue of the model's device; nil while the model is loading or when it is broken.
    var queue: DeviceQueue? { state.withLock { $0.queue } }

    /// Ends the loading phase.
    func finishLoading(_ result: Result<(any LoadedModel, DeviceQueue), InferenceError>) {
        let waiters = state.withLock { state in
            switch result {
            case .success((let loaded, let queue)):
                state.phase = .ready(loaded)
                state.queue = queue
            case .failure(let error): state.phase = .broken(error)
            }
            return exchange(&state.waiters, with: [])
        }
        for waiter in waiters { waiter(self) }
    }

    /// Calls `body` when the model has stopped loading: at once in the calling thread if it has, else later in
    /// another thread.
    func whenLoaded(_ body: @escaping @Sendable (Model) -> Void) {
        let isWaiting = state.withLock { state in
            guard case .loading = state.phase else { return false }
            state.waiters.append(body)
            return true
        }
        if !isWaiting { body(self) }
    }

    /// Requests that wait for the model to be loaded.
    var waiterCount: Int { state.withLock { $0.waiters.count } }

    /// Why the model does not run.
    var brokenError: InferenceError {
        if case .broken(let error) = phase { .modelIsBroken(error.message) } else { .modelIsBroken("it is not loaded") }
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

/// Puts `replacement` in the place of a value and returns the old one.
func exchange<Value>(_ place: inout Value, with replacement: Value) -> Value {
    let old = place
    place = replacement
    return old
}
