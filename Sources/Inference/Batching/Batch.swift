internal import Tensors

/// Steps of one model that will run together, their inputs put one below the other.
///
/// Belongs to a ``RunQueue`` while it forms, and to a worker from then on.
final class Batch {
    let key: BatchKey
    private let rule: ModelDefinition.Batching
    private(set) var members: [ReadyStep]
    private(set) var rowCount: Int
    private var byteCount: Int
    /// Whether it has been at the head of the queue, and was found too small.
    var isSetAside = false
    /// Whether nothing joins it any more: it is full, or together with the next step its inputs would be too large.
    var isClosed = false

    /// The inputs of the first members, one object per input; empty while there is one member.
    private var rows: [TensorRows] = []
    private var writtenCount = 0

    init(_ first: ReadyStep, _ key: BatchKey, _ rule: ModelDefinition.Batching) {
        self.key = key
        self.rule = rule
        members = [first]
        rowCount = first.rowCount
        byteCount = first.byteCount
    }

    var isFull: Bool { rowCount >= rule.size }

    /// Whether it may run, however long its members have waited.
    var isLargeEnough: Bool { rowCount >= rule.minimumSize || isClosed }

    /// Whether there is nothing more to wait for.
    func isDue(_ now: Instant) -> Bool {
        if isLargeEnough { return true }
        guard let due else { return false }
        return now > due
    }

    /// When a batch that is too small runs nevertheless; nil for never.
    private var due: Instant? {
        guard rule.minimumTimeout > 0, let head = members.first else { return nil }
        return Instant(nanoseconds: head.queuedAt.nanoseconds.clampedAdding(rule.minimumTimeout, by: 1_000_000))
    }

    /// The next moment at which waiting ends, for the batch or one of its members.
    var deadline: Instant? {
        let due = due.map { Instant(nanoseconds: $0.nanoseconds.clampedAdding(1, by: 1)) }
        return members.reduce(due) { earliest($0, $1.request.deadline) }
    }

    /// Adds a step whose key is equal; false when the inputs would exceed the size of a tensor. Rows without elements take
    /// no room, so that their number may be anything.
    func join(_ step: ReadyStep) -> Bool {
        let (rows, overflowed) = rowCount.addingReportingOverflow(step.rowCount)
        guard !overflowed, byteCount + step.byteCount <= tensorSizeLimit else { return false }
        members.append(step)
        rowCount = rows
        byteCount += step.byteCount
        writeSmallRows()
        return true
    }

    /// Removes the members for which there is a reason, and returns them.
    func removeMembers(_ reason: (ReadyStep) -> InferenceRequest.Ending?) -> [(ReadyStep, InferenceRequest.Ending)] {
        var removed: [(ReadyStep, InferenceRequest.Ending)] = []
        members.removeAll { member in
            guard let reason = reason(member) else { return false }
            removed.append((member, reason))
            rowCount -= member.rowCount
            byteCount -= member.byteCount
            return true
        }
        if !removed.isEmpty { forgetRows() }
        return removed
    }

    /// Removes the first member, which another batch has taken.
    func removeFirst() {
        let member = members.removeFirst()
        rowCount -= member.rowCount
        byteCount -= member.byteCount
        forgetRows()
    }

    // MARK: Rows

    /// What is small is written as it comes, for the worker finds it written; what is large would hold up others.
    private static let smallSize = 4 << 10
    /// Room that a batch of small rows has to begin with.
    private static let startCapacity = 64 << 10

    private func writeSmallRows() {
        while writtenCount < members.count, members[writtenCount].byteCount <= Self.smallSize {
            guard write(members[writtenCount]) else { return }
            writtenCount += 1
        }
    }

    /// False when there is no memory for the inputs of `step`; then nothing is written any more.
    private func write(_ step: ReadyStep) -> Bool {
        if (!rows.isEmpty || makeRows(like: step)) && rows.indices.allSatisfy({ rows[$0].append(step.inputs[$0]) }) {
            return true
        }
        forgetRows()
        return false
    }

    private func makeRows(like step: ReadyStep) -> Bool {
        for input in step.inputs {
            let perRow = input.byteCount / max(1, input.batchSize)
            let expected = min(perRow &* min(rule.size, 1 << 20), Self.startCapacity)
            guard let rows = TensorRows(like: input, byteCapacity: max(expected, input.byteCount)) else { return false }
            self.rows.append(rows)
        }
        return true
    }

    private func forgetRows() {
        (rows, writtenCount) = ([], 0)
    }

    /// The inputs of all members together; nil when there is no memory for them.
    func takeInputs() -> [Tensor]? {
        guard members.count > 1 else { return members.first?.inputs }
        defer { rows = [] }
        while writtenCount < members.count {
            guard write(members[writtenCount]) else { return nil }
            writtenCount += 1
        }
        var inputs: [Tensor] = []
        for rows in rows {
            guard let tensor = rows.takeTensor() else { return nil }
            inputs.append(tensor)
        }
        return inputs
    }
}

/// What the steps of a batch have in common: the model, and the data types and shapes of the inputs but for dimension 0.
struct BatchKey: Hashable {
    private let model: ObjectIdentifier
    private let rowLimit: Int
    private let inputs: [Tensor]
    private let hash: Int

    /// Nil for a step that runs alone: of no model that batches, with rows that disagree, or with enough of them.
    init?(_ step: ReadyStep) {
        guard let model = step.model, model.definition.batching.size > 0, !step.lacksInput else { return nil }
        let rowCount = step.rowCount
        guard rowCount > 0, rowCount < model.definition.batching.size else { return nil }
        self.model = ObjectIdentifier(model)
        rowLimit = model.definition.batching.size
        inputs = step.inputs
        var hasher = Hasher()
        hasher.combine(self.model)
        for input in inputs {
            hasher.combine(input.dataType)
            for index in 1..<max(1, input.shape.rank) { hasher.combine(input.shape[index]) }
        }
        hash = hasher.finalize()
    }

    func hash(into hasher: inout Hasher) {
        hasher.combine(hash)
    }

    static func == (left: BatchKey, right: BatchKey) -> Bool {
        left.model == right.model && left.hasSameRows(as: right.inputs)
    }

    /// Whether the key of `step` is equal: without making that key.
    func matches(_ step: ReadyStep) -> Bool {
        guard let model = step.model, ObjectIdentifier(model) == self.model, !step.lacksInput else { return false }
        return (1..<rowLimit).contains(step.rowCount) && hasSameRows(as: step.inputs)
    }

    private func hasSameRows(as others: [Tensor]) -> Bool {
        guard inputs.count == others.count else { return false }
        for index in inputs.indices {
            let (input, other) = (inputs[index], others[index])
            guard input.dataType == other.dataType, input.shape.hasSameRows(as: other.shape) else { return false }
        }
        return true
    }
}
