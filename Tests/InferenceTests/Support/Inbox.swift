import Dispatch
import Inference
import Synchronization
import Tensors
import TestSupport
import Testing

/// Is told of requests that have ended, and keeps how they did, in the order of their ends.
final class Inbox: Sendable {
    /// How a request ended; outputs are FLOAT tensors.
    enum Ending: Equatable {
        case outputs([[Float]?])
        case failed(InferenceError)
        case timedOut
        case cancelled

        fileprivate init(_ outcome: InferenceRequest.Outcome, outputs: [Int]) {
            switch outcome.ending {
            case .completed:
                self =
                    outcome.firstError.map { .failed($0) }
                    ?? .outputs(outputs.map { outcome.tensors[$0]?.elements(as: Float.self) })
            case .timedOut: self = .timedOut
            case .cancelled: self = .cancelled
            }
        }

        /// The ending of a request that came back with its one input.
        static func echo(_ value: Float) -> Ending { .outputs([[value]]) }
    }

    struct Missing: Error {
        let expected: Int
        let ended: [Ending]
    }

    /// Is told of one request, and knows where its outputs stand.
    private final class Address: InferenceRequest.Receiver {
        let inbox: Inbox
        let outputs: [Int]

        init(_ inbox: Inbox, outputs: [Int]) {
            self.inbox = inbox
            self.outputs = outputs
        }

        func requestDidEnd(_ request: InferenceRequest) {
            let outcome = request.takeOutcome()
            inbox.put(Ending(outcome, outputs: outputs), outcome, of: request)
        }
    }

    private let endings = Mutex<[Ending]>([])
    private let outcomes = Mutex<[ObjectIdentifier: InferenceRequest.Outcome]>([:])
    private let arrivals = DispatchSemaphore(value: 0)

    /// A request for a plan, whose end will be told here, with the outputs of all steps in order.
    func request(_ plan: RequestPlan, timeout: Int? = nil) -> InferenceRequest {
        InferenceRequest(plan, timeout: timeout, receiver: Address(self, outputs: plan.steps.flatMap(\.outputs)))
    }

    private func put(_ ending: Ending, _ outcome: InferenceRequest.Outcome, of request: InferenceRequest) {
        outcomes.withLock { $0[ObjectIdentifier(request)] = outcome }
        endings.withLock { $0.append(ending) }
        arrivals.signal()
    }

    /// What a request that has ended has led to.
    func outcome(of request: InferenceRequest) throws -> InferenceRequest.Outcome {
        try #require(outcomes.withLock { $0[ObjectIdentifier(request)] })
    }

    /// How requests have ended so far.
    var ended: [Ending] { endings.withLock { $0 } }

    /// Waits until `count` more requests have ended, and returns how all of them so far did.
    @discardableResult
    func wait(for count: Int) throws -> [Ending] {
        for _ in 0..<count where arrivals.wait(timeout: .now() + .seconds(Gate.patience)) == .timedOut {
            throw Missing(expected: count, ended: ended)
        }
        return ended
    }
}
