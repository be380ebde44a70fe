public import Tensors

/// One run of a model on behalf of somebody who waits for it.
///
/// Owned by one side at a time: by its maker until it is submitted, by the queue and its worker until the receiver is
/// told, by the receiver from then on.
public final class InferenceRequest: @unchecked Sendable {
    /// How a request ended.
    public enum Outcome: Sendable {
        case pending
        /// One element per output of the model; nil for an output without tensor form.
        case outputs([Tensor?])
        case failed(InferenceError)
        case timedOut
    }

    /// Who is told when the request has ended, on whatever thread it did.
    public protocol Receiver: AnyObject, Sendable {
        func requestDidEnd(_ request: InferenceRequest)
    }

    /// Nil once the request has ended: whoever is told then finds model and inputs released.
    public private(set) var model: Model?
    public private(set) var inputs: [Tensor]
    /// The number of outputs that the caller has names for.
    public let outputCount: Int
    /// Milliseconds that the request may wait for a worker; nil for ever.
    public let timeout: Int?
    public private(set) var outcome = Outcome.pending

    private let receiver: any Receiver
    private var submitted = Instant(nanoseconds: 0)

    public init(model: Model, inputs: [Tensor], outputCount: Int, timeout: Int?, receiver: any Receiver) {
        self.model = model
        self.inputs = inputs
        self.outputCount = outputCount
        self.timeout = timeout
        self.receiver = receiver
    }

    /// Notes the moment from which the timeout counts.
    func markSubmitted(_ now: Instant) {
        submitted = now
    }

    func hasTimedOut(_ now: Instant) -> Bool {
        guard let timeout else { return false }
        return (now - submitted) / 1_000_000 > timeout
    }

    /// Ends a request that was taken from the queue: counts the run, if there was one, and tells the receiver.
    func end(_ outcome: Outcome, microseconds: Int) {
        if let statistics = model?.statistics {
            switch outcome {
            case .outputs(let outputs):
                statistics.recordSuccess(microseconds: microseconds, samples: outputs.first??.batchSize ?? 0)
            case .failed: statistics.recordFailure()
            case .timedOut, .pending: break
            }
        }
        close(outcome)
    }

    /// Ends a request that was never run.
    func refuse(_ error: InferenceError) {
        close(.failed(error))
    }

    private func close(_ outcome: Outcome) {
        self.outcome = outcome
        model = nil
        inputs = []
        receiver.requestDidEnd(self)
    }
}
