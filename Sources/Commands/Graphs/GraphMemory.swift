internal import Inference
internal import RedisModuleKit
internal import Tensors

/// What reading and answering a DAG command takes, kept for the next one: most are like the one before, and allocating would
/// be a good part of their cost.
///
/// Whoever is at work takes it; another one at the same time, such as a command that a keyspace notification has caused, gets
/// one of its own. Main thread only.
final class GraphMemory {
    /// Larger ones are not kept: they are rare.
    private static let keptCapacity = 64

    var operations: [Arguments] = []
    var names = LocalNames()
    var plan = RequestPlan(capacity: 0)
    var elements: [GraphReply.Element] = []

    nonisolated(unsafe) private static var kept: GraphMemory?

    static func take() -> GraphMemory { kept.take() ?? GraphMemory() }

    /// Makes room for as many elements as there are operations, and what they usually need.
    func prepare() {
        elements.reserveCapacity(operations.count)
        plan.reserveCapacity(4)
    }

    /// Keeps what a command has been read with.
    func giveBack() {
        guard operations.capacity <= Self.keptCapacity, plan.capacity <= Self.keptCapacity else { return }
        operations.removeAll(keepingCapacity: true)
        names.removeAll()
        elements.removeAll(keepingCapacity: true)
        plan.reset()
        Self.kept = self
    }

    /// Keeps what a reply consisted of. Empties both.
    static func giveBack(_ elements: inout [GraphReply.Element], _ tensors: inout [Tensor?]) {
        guard let kept, elements.capacity <= keptCapacity, tensors.capacity <= keptCapacity else { return }
        elements.removeAll(keepingCapacity: true)
        tensors.removeAll(keepingCapacity: true)
        swap(&elements, &kept.elements)
        kept.plan.adopt(&tensors)
    }
}
