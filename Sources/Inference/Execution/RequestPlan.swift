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
        /// Which of ``RequestPlan/inputSlots`` are its own.
        let inputs: Range<Int>
        public let outputs: Range<Int>
    }

    public private(set) var tensors: [Tensor?]
    public private(set) var steps: [Step] = []
    /// The slots that steps take, one step after the other: one array for all of them.
    private(set) var inputSlots: [Int] = []

    /// - Parameter capacity: slots that there will probably be.
    public init(capacity: Int = 4) {
        tensors = []
        reserveCapacity(capacity)
    }

    /// Makes room for so many slots, and inputs of steps.
    public mutating func reserveCapacity(_ capacity: Int) {
        guard capacity > 0 else { return }
        tensors.reserveCapacity(capacity)
        inputSlots.reserveCapacity(capacity)
    }

    /// How much it holds memory for: the most of slots, steps, and inputs of steps.
    public var capacity: Int { max(tensors.capacity, steps.capacity, inputSlots.capacity) }

    /// Adds a tensor; returns its slot.
    public mutating func add(_ tensor: Tensor) -> Int {
        tensors.append(tensor)
        return tensors.count - 1
    }

    /// Adds an input of the step that is added next.
    public mutating func addInput(_ slot: Int) {
        inputSlots.append(slot)
    }

    /// Adds a step after those that are there; returns the slots of its outputs.
    public mutating func add(_ work: Work, outputCount: Int) -> Range<Int> {
        let outputs = tensors.count..<tensors.count + outputCount
        for _ in 0..<outputCount { tensors.append(nil) }
        let inputs = (steps.last?.inputs.upperBound ?? 0)..<inputSlots.count
        steps.append(Step(work: work, inputs: inputs, outputs: outputs))
        return outputs
    }

    /// As ``add(_:outputCount:)``, with all inputs at once.
    public mutating func add(_ work: Work, inputs: some Sequence<Int>, outputCount: Int) -> Range<Int> {
        for slot in inputs { addInput(slot) }
        return add(work, outputCount: outputCount)
    }

    /// Hands the tensors over; no slot is filled any more.
    mutating func takeTensors() -> [Tensor?] {
        var taken: [Tensor?] = []
        swap(&taken, &tensors)
        return taken
    }

    /// Takes everything out, for another plan to be made in the same memory.
    public mutating func reset() {
        tensors.removeAll(keepingCapacity: true)
        steps.removeAll(keepingCapacity: true)
        inputSlots.removeAll(keepingCapacity: true)
    }

    /// Uses the memory of `taken`, which is empty, in place of its own, which was handed over; nothing else if it has some.
    public mutating func adopt(_ taken: inout [Tensor?]) {
        if tensors.capacity < taken.capacity { swap(&tensors, &taken) }
    }

    /// Whether running it can have effects besides its outputs.
    public var hasSideEffects: Bool {
        steps.contains { if case .script = $0.work { true } else { false } }
    }
}
