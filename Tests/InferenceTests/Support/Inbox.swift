import Dispatch
import Inference
import Synchronization
import Tensors
import TestSupport

/// Is told of requests that have ended, and keeps how they did, in the order of their ends.
final class Inbox: InferenceRequest.Receiver {
    /// How a request ended; outputs are FLOAT tensors.
    enum Ending: Equatable {
        case outputs([[Float]?])
        case failed(InferenceError)
        case timedOut
        case pending

        init(_ outcome: InferenceRequest.Outcome) {
            switch outcome {
            case .pending: self = .pending
            case .outputs(let tensors): self = .outputs(tensors.map { $0?.elements(as: Float.self) })
            case .failed(let error): self = .failed(error)
            case .timedOut: self = .timedOut
            }
        }

        /// The ending of a request that came back with its one input.
        static func echo(_ value: Float) -> Ending { .outputs([[value]]) }
    }

    struct Missing: Error {
        let expected: Int
        let ended: [Ending]
    }

    private let endings = Mutex<[Ending]>([])
    private let unreleased = Atomic(0)
    private let arrivals = DispatchSemaphore(value: 0)

    func requestDidEnd(_ request: InferenceRequest) {
        if request.work != nil || !request.inputs.isEmpty { unreleased.add(1, ordering: .sequentiallyConsistent) }
        endings.withLock { $0.append(Ending(request.outcome)) }
        arrivals.signal()
    }

    /// How requests have ended so far.
    var ended: [Ending] { endings.withLock { $0 } }

    /// Requests that still held their model or inputs when the end was told.
    var unreleasedCount: Int { unreleased.load(ordering: .sequentiallyConsistent) }

    /// Waits until `count` more requests have ended, and returns how all of them so far did.
    @discardableResult
    func wait(for count: Int) throws -> [Ending] {
        for _ in 0..<count where arrivals.wait(timeout: .now() + .seconds(Gate.patience)) == .timedOut {
            throw Missing(expected: count, ended: ended)
        }
        return ended
    }
}
