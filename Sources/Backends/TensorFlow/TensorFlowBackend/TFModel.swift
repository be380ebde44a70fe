internal import CTensorFlow
internal import Inference
internal import Synchronization
internal import Tensors

/// Something that can be taken once.
final class Once<Value: Sendable>: Sendable {
    private let value: Mutex<Value?>

    init(_ value: Value) {
        self.value = Mutex(value)
    }

    func take() -> Value? { value.withLock { $0.take() } }
}

/// A model that TensorFlow runs.
///
/// The library can stop a run only by closing its session. So an interrupted model gets a new session, made when it is
/// next run.
final class TFModel: LoadedModel {
    let inputNames: [String]
    let outputNames: [String]
    let memoryUsage: Int

    private let makeSession: @Sendable () throws(InferenceError) -> TFSession
    private let current: Mutex<TFSession>
    /// Builds the model for the executor that tells which operation failed; nil when the current session has that one.
    private let makeExplainer: (@Sendable () throws(InferenceError) -> TFSession)?
    private let explainer = Mutex<TFSession?>(nil)
    /// Sessions that a run tries, when others' interrupts close them.
    private static let attempts = 4

    /// - Parameters:
    ///   - makeSession: builds the model anew: called here, and after each interrupt.
    ///   - makeExplainer: given for a model whose cost follows from the shapes of its inputs, as well as whether it fails.
    ///     Its sessions know their order beforehand, but not the names of operations: a run that fails is tried again in one
    ///     that does.
    init(
        inputNames: [String], outputNames: [String], memoryUsage: Int,
        makeSession: @escaping @Sendable () throws(InferenceError) -> TFSession,
        makeExplainer: (@Sendable () throws(InferenceError) -> TFSession)? = nil
    ) throws(InferenceError) {
        self.inputNames = inputNames
        self.outputNames = outputNames
        self.memoryUsage = memoryUsage
        self.makeExplainer = makeExplainer
        self.makeSession = makeSession
        current = Mutex(try makeSession())
    }

    /// One run that can be stopped.
    private final class Run: Interruptible {
        let session: TFSession
        private let interrupted = Atomic(false)

        init(_ session: TFSession) {
            self.session = session
        }

        var isInterrupted: Bool { interrupted.load(ordering: .acquiring) }

        func interrupt() {
            interrupted.store(true, ordering: .releasing)
            session.close()
        }
    }

    /// False also while there is no session to use: making one takes longer than most runs.
    var costFollowsFromShapes: Bool {
        makeExplainer != nil && current.withLock { !$0.isClosed }
    }

    func run(_ inputs: [Tensor], watch: RunWatch) throws(InferenceError) -> [Tensor?] {
        guard inputs.count == inputNames.count else { throw .wrongInputCount }
        for attempt in 1... {
            let run = Run(try session())
            do throws(InferenceError) {
                return try perform(run, inputs, watch)
            } catch {
                if let explainer = try explainer(of: run) { return try perform(Run(explainer), inputs, watch) }
                // Another run of the same session was interrupted, and this one only stopped with it.
                let isBystander = run.session.isClosed && !run.isInterrupted
                guard isBystander, attempt < Self.attempts else { throw error }
            }
        }
        throw .generic
    }

    private func perform(_ run: Run, _ inputs: [Tensor], _ watch: RunWatch) throws(InferenceError) -> [Tensor?] {
        let outputs = try watch.during(run) { () throws(InferenceError) in try run.session.run(inputs) }
        return try outputs.tensors()
    }

    /// The session that tells why a run failed; nil when the run has told, or was stopped.
    private func explainer(of run: Run) throws(InferenceError) -> TFSession? {
        guard let makeExplainer, !run.session.isClosed else { return nil }
        return try explainer.withLock { session throws(InferenceError) in
            if let session, !session.isClosed { return session }
            let made = try makeExplainer()
            session = made
            return made
        }
    }

    /// The session to run in: a new one when the last has been closed.
    private func session() throws(InferenceError) -> TFSession {
        try current.withLock { session throws(InferenceError) in
            if session.isClosed { session = try makeSession() }
            return session
        }
    }

    func warmUp(watch: RunWatch) {
        guard let inputs = current.withLock({ $0 }).warmUpInputs() else { return }
        _ = try? run(inputs, watch: watch)
    }
}
