import Glibc
import Tensors
import TestSupport
import Testing

@testable import Inference

/// A queue with a clock of its own, and what is needed to use it.
final class QueueFixture: Sendable {
    let clock = ManualClock()
    let inbox = Inbox()
    let queue: DeviceQueue
    private let held = HeldRuns()
    private let dispatcher: QueueDispatcher

    init(threads: Int, limits: DeviceQueue.Limits = .init()) throws {
        queue = try #require(DeviceQueue(name: "CPU", threads: threads, limits: limits, clock: clock.monotonic))
        dispatcher = QueueDispatcher(queue)
    }

    /// A model that is ready to run.
    func model(
        _ loaded: FakeModel, batching: ModelDefinition.Batching = .init(), backend: BackendDescription = .unopened,
        onRetire: @escaping @Sendable () -> Void = {}
    ) throws -> Model {
        let model = Model(try .fake(backend: backend, batching: batching), retire: { _ in onRetire() })
        _ = model.readiness.finish(.success((loaded, queue)))
        return model
    }

    /// Submits a request with one row of one FLOAT.
    @discardableResult
    func submit(_ value: Float, to model: Model, timeout: Int? = nil) throws -> InferenceRequest {
        try submit(makeTensor(.float, [value]), to: model, timeout: timeout)
    }

    @discardableResult
    func submit(_ input: Tensor, to model: Model, timeout: Int? = nil) throws -> InferenceRequest {
        submit(inbox.request(RequestPlan(.model(model), inputs: [input], outputCount: 1), timeout: timeout))
    }

    @discardableResult
    func submit(_ request: InferenceRequest) -> InferenceRequest {
        request.start(dispatcher)
        return request
    }

    /// Waits until all of the queue's workers sleep.
    func awaitIdleness(of workers: Int) throws {
        try queue.awaitIdleness(of: workers)
    }

    /// Keeps one worker busy, with a request that ends as `.echo(0)`.
    func hold() throws {
        try submit(0, to: model(held.model()))
        try held.hasBegun.wait()
    }

    func release() {
        held.mayEnd.open()
    }

    func stop(withinSeconds seconds: Int = Gate.patience) -> Bool {
        queue.stop(withinSeconds: seconds)
    }
}

extension DeviceQueue {
    struct StaysBusy: Error {}

    /// Waits until as many of its workers sleep. A thread cannot tell that it sleeps: it has to be looked for.
    func awaitIdleness(of workers: Int) throws {
        for _ in 0..<Gate.patience * 1_000 where idleWorkerCount < workers { usleep(1_000) }
        guard idleWorkerCount == workers else { throw StaysBusy() }
    }
}

/// Passes all steps on to one queue, as an engine does.
private final class QueueDispatcher: InferenceRequest.Dispatcher {
    private let queue: DeviceQueue

    init(_ queue: DeviceQueue) {
        self.queue = queue
    }

    func dispatch(_ step: ReadyStep, from origin: StepOrigin) {
        do throws(InferenceError) {
            try queue.submit(step, from: origin)
        } catch {
            step.refuse(error)
        }
    }
}

/// Runs `body` with a queue, and stops the queue.
func withQueue(
    threads: Int = 1, limits: DeviceQueue.Limits = .init(), _ body: (QueueFixture) throws -> Void
) throws {
    let fixture = try QueueFixture(threads: threads, limits: limits)
    defer {
        fixture.release()
        #expect(fixture.stop())
    }
    try body(fixture)
}
