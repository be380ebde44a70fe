public import Tensors

/// What a client wants done in one go: tensors, and runs of models and scripts on them, in order.
///
/// Tensors stand in numbered slots: names are resolved when a command is parsed. A slot is filled once, by the client or by
/// the step that it belongs to, and steps use the slots of earlier ones.
public struct RequestPlan: Sendable {
    /// What a step runs.
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

    /// One run.
    public struct Step: Sendable {
        /// Nil once the request that carries the plan out has let go of it.
        var work: Work?
        public let inputs: [Int]
        public let outputs: Range<Int>
    }

    public private(set) var tensors: [Tensor?]
    public private(set) var steps: [Step] = []

    /// - Parameter capacity: slots that there will probably be.
    public init(capacity: Int = 4) {
        tensors = []
        tensors.reserveCapacity(capacity)
    }

    /// Adds a tensor; returns its slot.
    public mutating func add(_ tensor: Tensor) -> Int {
        tensors.append(tensor)
        return tensors.count - 1
    }

    /// Adds a step after those that are there; returns the slots of its outputs.
    public mutating func add(_ work: Work, inputs: [Int], outputCount: Int) -> Range<Int> {
        let outputs = tensors.count..<tensors.count + outputCount
        tensors.append(contentsOf: repeatElement(nil, count: outputCount))
        steps.append(Step(work: work, inputs: inputs, outputs: outputs))
        return outputs
    }

    /// Hands the tensors over; no slot is filled any more.
    mutating func takeTensors() -> [Tensor?] {
        var taken: [Tensor?] = []
        swap(&taken, &tensors)
        return taken
    }

    /// Whether running it can have effects besides its outputs.
    public var hasSideEffects: Bool {
        steps.contains { if case .script = $0.work { true } else { false } }
    }
}
