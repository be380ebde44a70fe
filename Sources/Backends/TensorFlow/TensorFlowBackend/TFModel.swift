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
    let costFollowsFromShapes: Bool

    private let makeSession: @Sendable () throws(InferenceError) -> TFSession
    private let current: Mutex<TFSession>
    /// Sessions that a run tries, when others' interrupts close them.
    private static let attempts = 4

    /// - Parameter makeSession: builds the model anew: called here, and after each interrupt.
    init(
        inputNames: [String], outputNames: [String], memoryUsage: Int, costFollowsFromShapes: Bool = false,
        makeSession: @escaping @Sendable () throws(InferenceError) -> TFSession
    ) throws(InferenceError) {
        self.inputNames = inputNames
        self.outputNames = outputNames
        self.memoryUsage = memoryUsage
        self.costFollowsFromShapes = costFollowsFromShapes
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

    func run(_ inputs: [Tensor], watch: RunWatch) throws(InferenceError) -> [Tensor?] {
        guard inputs.count == inputNames.count else { throw .wrongInputCount }
        for attempt in 1... {
            let run = Run(try session())
            do throws(InferenceError) {
                let outputs = try watch.during(run) { () throws(InferenceError) in try run.session.run(inputs) }
                return try outputs.tensors()
            } catch {
                // Another run of the same session was interrupted, and this one only stopped with it.
                let isBystander = run.session.isClosed && !run.isInterrupted
                guard isBystander, attempt < Self.attempts else { throw error }
            }
        }
        throw .generic
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
