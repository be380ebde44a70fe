import Inference
import Synchronization
import Tensors
import TestSupport

/// A loaded model that does what its test says. Unless told otherwise it returns its inputs.
final class FakeModel: LoadedModel {
    typealias Run = @Sendable (_ inputs: [Tensor], _ watch: RunWatch) throws(InferenceError) -> [Tensor?]

    let inputNames: [String]
    let outputNames: [String]
    let memoryUsage = 0
    let costFollowsFromShapes: Bool
    private let onRun: Run
    private let onWarmUp: @Sendable () -> Void
    private let onRelease: @Sendable () -> Void

    init(
        inputNames: [String] = ["x"], outputNames: [String] = ["y"], costFollowsFromShapes: Bool = false,
        onRun: @escaping Run = { inputs, _ in inputs },
        onWarmUp: @escaping @Sendable () -> Void = {}, onRelease: @escaping @Sendable () -> Void = {}
    ) {
        self.inputNames = inputNames
        self.outputNames = outputNames
        self.costFollowsFromShapes = costFollowsFromShapes
        self.onRun = onRun
        self.onWarmUp = onWarmUp
        self.onRelease = onRelease
    }

    deinit {
        onRelease()
    }

    func run(_ inputs: [Tensor], watch: RunWatch) throws(InferenceError) -> [Tensor?] {
        try onRun(inputs, watch)
    }

    func warmUp(watch: RunWatch) {
        onWarmUp()
    }
}

/// An engine whose models its test makes.
final class FakeBackend: Backend {
    typealias Load = @Sendable (ModelDefinition) throws(InferenceError) -> any LoadedModel

    let version = "1.2.3"
    private let onLoad: Load

    init(onLoad: @escaping Load) {
        self.onLoad = onLoad
    }

    func info(workers: Int) -> [(name: String, value: String)] { [] }

    func load(_ definition: ModelDefinition) throws(InferenceError) -> any LoadedModel {
        try onLoad(definition)
    }
}

/// A run that lasts until it is interrupted.
final class EndlessRun: Interruptible {
    let hasBegun = Gate("the run has begun")
    private let isInterrupted = Gate("the run is interrupted")
    private let interrupts = Atomic(0)

    var interruptCount: Int { interrupts.load(ordering: .sequentiallyConsistent) }

    func interrupt() {
        interrupts.add(1, ordering: .sequentiallyConsistent)
        isInterrupted.open()
    }

    /// A model whose runs are this one.
    var model: FakeModel {
        FakeModel { [self] _, watch throws(InferenceError) in
            let wasInterrupted = watch.during(self) {
                hasBegun.open()
                return isInterrupted.pass()
            }
            throw InferenceError(wasInterrupted ? "interrupted" : "not interrupted")
        }
    }
}

/// A run that does not react to interrupts, until the test lets it end.
final class StuckRun: Interruptible {
    let hasBegun = Gate("the run has begun")
    let mayEnd = Gate("the run may end")

    func interrupt() {}

    private func run(_ watch: RunWatch) {
        watch.during(self) {
            hasBegun.open()
            mayEnd.pass()
        }
    }

    /// A model whose runs are this one, and then return their inputs.
    var model: FakeModel {
        FakeModel { [self] inputs, watch in
            run(watch)
            return inputs
        }
    }

    /// As ``model``, as a script.
    var script: FakeScript {
        FakeScript { [self] script in
            run(script.watch)
            return script.inputs
        }
    }
}

/// Runs that begin and then wait until the test lets them go on.
final class HeldRuns: Sendable {
    let hasBegun = Gate("a run has begun")
    let mayEnd = Gate("runs may end")

    /// A model whose runs are held, and then return their inputs.
    func model(onRelease: @escaping @Sendable () -> Void = {}) -> FakeModel {
        FakeModel(
            onRun: { [self] inputs, _ in
                hasBegun.open()
                mayEnd.pass()
                return inputs
            }, onRelease: onRelease)
    }
}
