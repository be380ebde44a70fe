public import Tensors

/// One run of a model, or of a script's function, on behalf of somebody who waits for it.
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

    /// What is to be run.
    public enum Work: Sendable {
        case model(Model)
        case script(Script, ScriptCall)

        var artifact: any Artifact {
            switch self {
            case .model(let model): model
            case .script(let script, _): script
            }
        }
    }

    /// Nil once the request has ended: whoever is told then finds artifact and inputs released.
    public private(set) var work: Work?
    public private(set) var inputs: [Tensor]
    /// The number of outputs that the caller has names for.
    public let outputCount: Int
    /// Milliseconds that the request may wait for a worker; nil for ever.
    public let timeout: Int?
    public private(set) var outcome = Outcome.pending

    private let receiver: any Receiver
    private var submitted = Instant(nanoseconds: 0)

    public init(_ work: Work, inputs: [Tensor], outputCount: Int, timeout: Int?, receiver: any Receiver) {
        self.work = work
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

    /// The model or script; nil once the request has ended.
    var artifact: (any Artifact)? { work?.artifact }

    /// Does the work, in the calling thread.
    func run(_ watch: RunWatch) -> Outcome {
        do throws(InferenceError) {
            switch work {
            case .model(let model):
                return .outputs(try model.run(inputs, outputCount: outputCount, watch: watch))
            case .script(let script, let call):
                return .outputs(try script.run(call, inputs, outputCount: outputCount, watch: watch))
            case nil: return .pending
            }
        } catch {
            return .failed(error)
        }
    }

    /// Ends a request that was taken from the queue: counts the run, if there was one, and tells the receiver.
    func end(_ outcome: Outcome, microseconds: Int) {
        if let statistics = artifact?.statistics {
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
        work = nil
        inputs = []
        receiver.requestDidEnd(self)
    }
}
