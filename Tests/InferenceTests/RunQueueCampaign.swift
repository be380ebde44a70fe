import Tensors
import TestSupport
import Testing

@testable import Inference

/// Long random lives of a queue, beside one that does the same in the plainest way.
@Suite struct RunQueueCampaign {
    private static let rules: [ModelDefinition.Batching] = [
        .init(size: 0), .init(size: 4), .init(size: 1), .init(size: 4, minimum: 3),
        .init(size: 3, minimum: 2, timeout: 5),
        .init(size: 2, minimum: 5), .init(size: 8, minimum: 6, timeout: 2), .init(size: 3, minimum: 3),
    ]

    @Test(arguments: 0..<12)
    func `does what the naive queue does`(seed: Int) throws {
        var random = SeededGenerator(seed)
        for round in 0..<25 {
            var life = try Life(Self.rules, &random)
            for step in 0..<120 {
                guard let difference = try life.step(&random) else { continue }
                Issue.record("seed \(seed), round \(round), step \(step): \(difference)")
                return
            }
            let difference = life.end()
            #expect(difference == nil, "seed \(seed), round \(round)")
        }
    }

    private struct Life {
        private var queue = NumberedQueue()
        private var naive: NaiveQueue
        private let models: [Model]
        private var cancelled: Set<Int> = []

        init(_ rules: [ModelDefinition.Batching], _ random: inout SeededGenerator) throws {
            let chosen = Array(rules.shuffled(using: &random).prefix(Int.random(in: 1...4, using: &random)))
            models = try chosen.map { try NumberedQueue().model($0) }
            naive = NaiveQueue(rules: chosen)
        }

        /// Does something to both queues; returns what they disagree about.
        mutating func step(_ random: inout SeededGenerator) throws -> String? {
            switch Int.random(in: 0..<20, using: &random) {
            case 0..<9: try add(&random)
            case 9..<13: return next()
            case 13..<16:
                queue.advance(
                    milliseconds: Int.random(in: 0...3, using: &random),
                    nanoseconds: Int.random(in: 0...1, using: &random))
            case 16, 17:
                // A cancellation is noticed sooner or later: the sweep makes it now.
                guard let step = queue.steps.indices.randomElement(using: &random) else { return nil }
                queue.steps[step].request.cancel()
                cancelled.insert(step)
                return sweep()
            case 18: return random.isOne(in: 2) ? sweep() : takeBatch(&random)
            default:
                for _ in 0..<4 { if let difference = next() { return difference } }
            }
            return differenceOfCounts()
        }

        private mutating func add(_ random: inout SeededGenerator) throws {
            let model = models.indices.randomElement(using: &random) ?? 0
            let rows = Int.random(in: 0...5, using: &random) % 5
            let columns = Int.random(in: 1...2, using: &random)
            let timeout = random.isOne(in: 3) ? Int.random(in: 1...8, using: &random) : nil
            let (isInteger, inFront) = (random.isOne(in: 6), random.isOne(in: 6))
            naive.add(
                NaiveQueue.Item(
                    step: queue.steps.count, model: model, kind: columns * 2 + (isInteger ? 1 : 0), rows: rows,
                    bytes: rows * columns * 4, queuedAt: queue.now.nanoseconds,
                    deadline: timeout.map { queue.now.nanoseconds + ($0 + 1) * 1_000_000 }), inFront: inFront)
            try queue.add(
                models[model], [rows, columns], isInteger ? .int32 : .float, timeout: timeout, inFront: inFront)
        }

        private mutating func next() -> String? {
            let (seen, expected) = (queue.next(), naive.next(queue.now.nanoseconds, cancelled))
            guard seen == expected else {
                return "next gave \(String(describing: seen)), not \(String(describing: expected))"
            }
            if seen == nil, let deadline = queue.queue.deadline, deadline <= queue.now {
                return "nothing to run, but the deadline has passed"
            }
            return differenceOfDropped()
        }

        private mutating func takeBatch(_ random: inout SeededGenerator) -> String? {
            let limit = Int.random(in: 1...8, using: &random)
            let seen = queue.takeBatch(rowLimit: limit)
            let expected = naive.takeBatch(queue.now.nanoseconds, cancelled, rowLimit: limit)
            guard seen == expected else {
                return "taking a batch gave \(String(describing: seen)), not \(String(describing: expected))"
            }
            return differenceOfDropped()
        }

        private mutating func sweep() -> String? {
            let (hasNews, expected) = (queue.sweep(), naive.sweep(queue.now.nanoseconds, cancelled))
            return hasNews == expected ? differenceOfDropped() : "sweep gave \(hasNews)"
        }

        private mutating func differenceOfDropped() -> String? {
            let (seen, expected) = (queue.dropped(), naive.takeDropped())
            return seen == expected ? differenceOfCounts() : "dropped \(seen), not \(expected)"
        }

        private func differenceOfCounts() -> String? {
            let (now, queue) = (queue.now, queue.queue)
            guard queue.stepCount == naive.items.count else { return "\(queue.stepCount) steps" }
            guard queue.byteCount == naive.items.reduce(0, { $0 + $1.bytes }) else { return "\(queue.byteCount) bytes" }
            guard queue.jobCount == naive.line.count, queue.isEmpty == naive.items.isEmpty else {
                return "\(queue.jobCount) jobs"
            }
            if !queue.mayHaveExpired(now),
                naive.items.contains(where: { $0.deadline.map { $0 <= now.nanoseconds } ?? false })
            {
                return "somebody's time has run out unnoticed"
            }
            if let expected = naive.nextThing {
                guard let deadline = queue.deadline, deadline.nanoseconds <= expected else { return "a late deadline" }
            }
            return nil
        }

        /// Lets all time pass, and empties both queues.
        mutating func end() -> String? {
            queue.advance(milliseconds: 1_000)
            repeat {
                if let difference = next() { return difference }
            } while queue.queue.jobCount > 0
            guard queue.takeAll() == naive.items.map(\.step) else { return "other steps are left" }
            return (queue.queue.stepCount, queue.queue.byteCount) == (0, 0) ? nil : "counts are left"
        }
    }
}

/// Section 6.4 in the plainest way: looks at everything, whenever it is asked.
private struct NaiveQueue {
    struct Item {
        let step: Int
        let model: Int
        /// What stands for type and dimensions.
        let kind: Int
        let rows: Int
        let bytes: Int
        let queuedAt: Int
        let deadline: Int?
    }

    private struct Entry {
        var items: [Item]
        let batches: Bool
        var isClosed = false
        var rows: Int { items.reduce(0) { $0 + $1.rows } }
    }

    let rules: [ModelDefinition.Batching]
    private var entries: [Int: Entry] = [:]
    private var entryCount = 0
    /// Numbers of entries.
    private(set) var line: [Int] = []
    private var aside: [Int] = []
    private var dropped: [NumberedQueue.Dropped] = []

    init(rules: [ModelDefinition.Batching]) {
        self.rules = rules
    }

    var items: [Item] { (line + aside).flatMap { entries[$0]?.items ?? [] } }

    mutating func add(_ item: Item, inFront: Bool) {
        let size = rules[item.model].size
        let batches = item.rows > 0 && item.rows < size
        guard batches, let number = (line + aside).first(where: { canJoin($0, item) }) else {
            entries[entryCount] = Entry(items: [item], batches: batches)
            line.insert(entryCount, at: inFront ? 0 : line.count)
            entryCount += 1
            return
        }
        join(number, item)
        if aside.contains(number), isDue(number, item.queuedAt) {
            aside.removeAll { $0 == number }
            line.append(number)
        }
    }

    private func canJoin(_ number: Int, _ item: Item) -> Bool {
        guard let entry = entries[number], entry.batches, !entry.isClosed, let first = entry.items.first else {
            return false
        }
        return first.model == item.model && first.kind == item.kind
    }

    private mutating func join(_ number: Int, _ item: Item) {
        entries[number]?.items.append(item)
        if let entry = entries[number], entry.rows >= rules[item.model].size { entries[number]?.isClosed = true }
    }

    private func due(_ number: Int) -> Int? {
        guard let first = entries[number]?.items.first, rules[first.model].minimumTimeout > 0 else { return nil }
        return first.queuedAt + rules[first.model].minimumTimeout * 1_000_000 + 1
    }

    private func isDue(_ number: Int, _ now: Int) -> Bool {
        guard let entry = entries[number], let first = entry.items.first, entry.batches else { return true }
        if entry.isClosed || entry.rows >= rules[first.model].minimumSize { return true }
        return due(number).map { $0 <= now } ?? false
    }

    /// When something happens to a batch that is too small.
    var nextThing: Int? {
        aside.flatMap { [due($0)] + (entries[$0]?.items.map(\.deadline) ?? []) }.compactMap { $0 }.min()
    }

    mutating func next(_ now: Int, _ cancelled: Set<Int>) -> [Int]? {
        if let nextThing, nextThing <= now { review(now, cancelled) }
        while !line.isEmpty {
            let number = line.removeFirst()
            drop(from: number, now, cancelled)
            guard entries[number] != nil else { continue }
            guard !isDue(number, now) else { return entries.removeValue(forKey: number)?.items.map(\.step) }
            aside.append(number)
        }
        return nil
    }

    mutating func takeBatch(_ now: Int, _ cancelled: Set<Int>, rowLimit: Int) -> [Int]? {
        while let number = line.first, entries[number]?.batches == true {
            drop(from: number, now, cancelled)
            guard let entry = entries[number], let first = entry.items.first else { continue }
            let isLargeEnough = entry.isClosed || entry.rows >= rules[first.model].minimumSize
            guard isLargeEnough, entry.rows <= rowLimit else { return nil }
            line.removeFirst()
            return entries.removeValue(forKey: number)?.items.map(\.step)
        }
        return nil
    }

    private mutating func review(_ now: Int, _ cancelled: Set<Int>) {
        for number in aside {
            drop(from: number, now, cancelled)
            guard entries[number] != nil, isDue(number, now) else { continue }
            aside.removeAll { $0 == number }
            line.append(number)
        }
    }

    mutating func sweep(_ now: Int, _ cancelled: Set<Int>) -> Bool {
        for number in line { drop(from: number, now, cancelled) }
        let count = line.count
        review(now, cancelled)
        return line.count > count
    }

    /// Drops items of an entry, which goes when it has none left; has the entry that formed after it was full make up for them.
    private mutating func drop(from number: Int, _ now: Int, _ cancelled: Set<Int>) {
        let count = entries[number]?.items.count ?? 0
        dropItems(of: number, now, cancelled)
        guard let entry = entries[number], entry.items.count < count, entry.isClosed else { return }
        let size = rules[entry.items[0].model].size
        entries[number]?.isClosed = entry.rows >= size
        guard let next = (line + aside).first(where: { $0 != number && canJoin($0, entry.items[0]) }) else { return }
        dropItems(of: next, now, cancelled)
        while entries[number].map({ $0.rows < size }) == true, let item = entries[next]?.items.first {
            entries[next]?.items.removeFirst()
            join(number, item)
        }
        forget(ifEmpty: next)
        // There is one entry at a time that can be joined.
        if entries[next] != nil { entries[number]?.isClosed = true }
    }

    private mutating func dropItems(of number: Int, _ now: Int, _ cancelled: Set<Int>) {
        for item in entries[number]?.items ?? [] {
            let hasExpired = item.deadline.map { $0 <= now } ?? false
            guard cancelled.contains(item.step) || hasExpired else { continue }
            dropped.append(.init(step: item.step, reason: cancelled.contains(item.step) ? .cancelled : .timedOut))
            entries[number]?.items.removeAll { $0.step == item.step }
        }
        forget(ifEmpty: number)
    }

    private mutating func forget(ifEmpty number: Int) {
        guard let entry = entries[number], entry.items.isEmpty else { return }
        entries[number] = nil
        line.removeAll { $0 == number }
        aside.removeAll { $0 == number }
    }

    mutating func takeDropped() -> [NumberedQueue.Dropped] {
        defer { dropped = [] }
        return dropped.sorted { $0.step < $1.step }
    }
}
