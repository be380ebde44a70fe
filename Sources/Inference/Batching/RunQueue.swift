internal import DequeModule

/// The order in which the steps for one device are run, and which of them together.
///
/// First come, first served. A step of a model that batches joins the batch that forms for its model and shapes; a batch
/// has the place of its first member. One that is smaller than its model's minimum when its turn comes is set aside until
/// it has grown, or has waited long enough.
///
/// A pure state machine: it runs nothing, and is told the time. A step for which nobody waits any more is never handed out.
struct RunQueue {
    /// What a worker runs at a time.
    enum Job {
        case step(ReadyStep)
        case batch(Batch)

        var steps: [ReadyStep] {
            switch self {
            case .step(let step): [step]
            case .batch(let batch): batch.members
            }
        }
    }

    private var jobs = Deque<Job>()
    /// Batches that can be joined.
    private var forming: [BatchKey: Batch] = [:]
    /// The one that the next step will probably join: found without a look-up.
    private var lastJoined: Batch?
    private var setAside: [Batch] = []
    /// No batch that was set aside has anything to do before.
    private var setAsideDeadline: Instant?
    private var dropped: [(step: ReadyStep, reason: InferenceRequest.Ending)] = []
    /// No step's time runs out before.
    private var earliestExpiry: Instant?

    /// Steps that wait, and the bytes of their inputs.
    private(set) var stepCount = 0
    private(set) var byteCount = 0

    var isEmpty: Bool { jobs.isEmpty && setAside.isEmpty }
    /// Jobs that could be run at once.
    var jobCount: Int { jobs.count }
    /// When somebody must look at the queue although nothing has been added; nil for never.
    var deadline: Instant? { setAsideDeadline }

    /// Adds a step at the end, or in front of everything else. Returns whether there is something new to do.
    mutating func add(_ step: ReadyStep, inFront: Bool = false) -> Bool {
        stepCount += 1
        byteCount += step.byteCount
        earliestExpiry = earliest(earliestExpiry, step.request.deadline)
        if let batch = lastJoined, !batch.isClosed, batch.key.matches(step), batch.join(step) {
            return update(batch, with: step)
        }
        guard let key = BatchKey(step), let rule = step.model?.definition.batching else {
            place(.step(step), inFront: inFront)
            return true
        }
        if let batch = forming[key] {
            lastJoined = batch
            if batch.join(step) { return update(batch, with: step) }
            close(batch)
            if batch.isSetAside { bringBack(batch) }
        }
        let batch = Batch(step, key, rule)
        forming[key] = batch
        lastJoined = batch
        place(.batch(batch), inFront: inFront)
        return true
    }

    private mutating func place(_ job: Job, inFront: Bool) {
        if inFront { jobs.prepend(job) } else { jobs.append(job) }
    }

    /// A batch has been joined by `step`.
    private mutating func update(_ batch: Batch, with step: ReadyStep) -> Bool {
        if batch.isFull { close(batch) }
        guard batch.isSetAside else { return false }
        guard !batch.isDue(step.queuedAt) else {
            bringBack(batch)
            return true
        }
        guard let deadline = step.request.deadline else { return false }
        let isEarlier = setAsideDeadline.map { deadline < $0 } ?? true
        if isEarlier { setAsideDeadline = deadline }
        return isEarlier
    }

    /// What is to be run now; nil when there is nothing.
    mutating func next(_ now: Instant) -> Job? {
        // First of all: there may be no end of other jobs.
        if let deadline = setAsideDeadline, now >= deadline { reviewSetAside(now) }
        while let job = jobs.popFirst() {
            switch job {
            case .step(let step):
                if let reason = step.request.dropReason(now) {
                    drop(step, reason)
                } else {
                    return take(job)
                }
            case .batch(let batch):
                dropMembers(of: batch, now)
                if batch.members.isEmpty {
                    close(batch)
                } else if batch.isDue(now) {
                    return take(job)
                } else {
                    putAside(batch)
                }
            }
        }
        return nil
    }

    /// What stands first, if it is a batch that is large enough and that `isWanted`; nil, and nothing taken, if it is something
    /// else.
    mutating func takeBatch(_ now: Instant, where isWanted: (Batch) -> Bool) -> Batch? {
        while case .batch(let batch) = jobs.first {
            dropMembers(of: batch, now)
            guard !batch.members.isEmpty else {
                close(batch)
                jobs.removeFirst()
                continue
            }
            guard batch.isLargeEnough, isWanted(batch) else { return nil }
            _ = take(jobs.removeFirst())
            return batch
        }
        return nil
    }

    private mutating func take(_ job: Job) -> Job {
        switch job {
        case .step(let step): forget(step)
        case .batch(let batch):
            close(batch)
            for member in batch.members { forget(member) }
        }
        return job
    }

    /// Nothing is to join the batch any more.
    private mutating func close(_ batch: Batch) {
        batch.isClosed = true
        if lastJoined === batch { lastJoined = nil }
        if forming[batch.key] === batch { forming[batch.key] = nil }
    }

    /// A batch has lost members: those who came when it was full take their places, and if none are left it may be joined
    /// again.
    private mutating func refill(_ batch: Batch, _ now: Instant) {
        if let next = forming[batch.key], next !== batch {
            for (step, reason) in next.removeMembers({ $0.request.dropReason(now) }) { drop(step, reason) }
            while !batch.isFull, let step = next.members.first, batch.join(step) { next.removeFirst() }
            guard next.members.isEmpty else { return }
            close(next)
            setAside.removeAll { $0 === next }
            jobs.removeAll { if case .batch(let other) = $0 { other === next } else { false } }
        }
        guard !batch.isFull else { return }
        batch.isClosed = false
        forming[batch.key] = batch
    }

    private mutating func forget(_ step: ReadyStep) {
        stepCount -= 1
        byteCount -= step.byteCount
    }

    // MARK: Batches that are too small

    private mutating func putAside(_ batch: Batch) {
        batch.isSetAside = true
        setAside.append(batch)
        setAsideDeadline = earliest(setAsideDeadline, batch.deadline)
    }

    private mutating func bringBack(_ batch: Batch) {
        batch.isSetAside = false
        setAside.removeAll { $0 === batch }
        jobs.append(.batch(batch))
    }

    /// Moves batches that have waited long enough to the end of what is to be run, and finds the next moment to look.
    private mutating func reviewSetAside(_ now: Instant) {
        let batches = setAside
        setAside = []
        setAsideDeadline = nil
        for batch in batches {
            dropMembers(of: batch, now)
            if batch.members.isEmpty {
                close(batch)
            } else if batch.isDue(now) {
                batch.isSetAside = false
                jobs.append(.batch(batch))
            } else {
                putAside(batch)
            }
        }
    }

    // MARK: Steps for which nobody waits

    private mutating func drop(_ step: ReadyStep, _ reason: InferenceRequest.Ending) {
        forget(step)
        dropped.append((step, reason))
    }

    private mutating func dropMembers(of batch: Batch, _ now: Instant) {
        let removed = batch.removeMembers { $0.request.dropReason(now) }
        for (step, reason) in removed { drop(step, reason) }
        if !removed.isEmpty, !batch.members.isEmpty { refill(batch, now) }
    }

    /// Whether a step's time may have run out.
    func mayHaveExpired(_ now: Instant) -> Bool { earliestExpiry.map { now >= $0 } ?? false }

    /// Drops all steps for which nobody waits any more, wherever they are. Returns whether there is something new to do.
    mutating func sweep(_ now: Instant) -> Bool {
        let all = jobs
        jobs = []
        for job in all {
            switch job {
            case .step(let step):
                if let reason = step.request.dropReason(now) { drop(step, reason) } else { jobs.append(job) }
            case .batch(let batch):
                dropMembers(of: batch, now)
                if batch.members.isEmpty { close(batch) } else { jobs.append(job) }
            }
        }
        let runnable = jobs.count
        reviewSetAside(now)
        earliestExpiry = (jobs.flatMap(\.steps) + setAside.flatMap(\.members)).reduce(nil) {
            earliest($0, $1.request.deadline)
        }
        return jobs.count > runnable
    }

    /// Steps that have been dropped since the last call, with the reasons. Whoever waits for them is to be told.
    mutating func takeDropped() -> [(step: ReadyStep, reason: InferenceRequest.Ending)] {
        if dropped.isEmpty { return [] }
        defer { dropped = [] }
        return dropped
    }

    /// Empties the queue.
    mutating func takeAll() -> [ReadyStep] {
        defer { self = RunQueue() }
        return jobs.flatMap(\.steps) + setAside.flatMap(\.members)
    }
}
