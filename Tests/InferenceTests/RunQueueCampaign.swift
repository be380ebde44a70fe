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
            case 18: return sweep()
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

    final class Entry {
        var items: [Item]
        let batches: Bool
        var isClosed = false
        var rows: Int { items.reduce(0) { $0 + $1.rows } }

        init(items: [Item], batches: Bool) {
            self.items = items
            self.batches = batches
        }
    }

    let rules: [ModelDefinition.Batching]
    var line: [Entry] = []
    private var aside: [Entry] = []
    private var dropped: [NumberedQueue.Dropped] = []

    init(rules: [ModelDefinition.Batching]) {
        self.rules = rules
    }

    var items: [Item] { (line + aside).flatMap(\.items) }

    mutating func add(_ item: Item, inFront: Bool) {
        let size = rules[item.model].size
        guard item.rows > 0, item.rows < size else { return place(Entry(items: [item], batches: false), inFront) }
        if let index = line.firstIndex(where: { canJoin($0, item) }) {
            join(line[index], item)
        } else if let index = aside.firstIndex(where: { canJoin($0, item) }) {
            join(aside[index], item)
            if isDue(aside[index], item.queuedAt) { line.append(aside.remove(at: index)) }
        } else {
            place(Entry(items: [item], batches: true), inFront)
        }
    }

    private mutating func place(_ entry: Entry, _ inFront: Bool) {
        line.insert(entry, at: inFront ? 0 : line.count)
    }

    private func canJoin(_ entry: Entry, _ item: Item) -> Bool {
        entry.batches && !entry.isClosed && entry.items[0].model == item.model && entry.items[0].kind == item.kind
    }

    private func join(_ entry: Entry, _ item: Item) {
        entry.items.append(item)
        if entry.rows >= rules[item.model].size { entry.isClosed = true }
    }

    private func due(_ entry: Entry) -> Int? {
        let rule = rules[entry.items[0].model]
        return rule.minimumTimeout > 0 ? entry.items[0].queuedAt + rule.minimumTimeout * 1_000_000 + 1 : nil
    }

    private func isDue(_ entry: Entry, _ now: Int) -> Bool {
        if !entry.batches || entry.isClosed || entry.rows >= rules[entry.items[0].model].minimumSize { return true }
        return due(entry).map { $0 <= now } ?? false
    }

    /// When something happens to a batch that is too small.
    var nextThing: Int? {
        aside.flatMap { entry in [due(entry)] + entry.items.map(\.deadline) }.compactMap { $0 }.min()
    }

    mutating func next(_ now: Int, _ cancelled: Set<Int>) -> [Int]? {
        if let nextThing, nextThing <= now { review(now, cancelled) }
        while !line.isEmpty {
            let entry = line.removeFirst()
            drop(from: entry, now, cancelled)
            if entry.items.isEmpty { continue }
            if isDue(entry, now) { return entry.items.map(\.step) }
            aside.append(entry)
        }
        return nil
    }

    private mutating func review(_ now: Int, _ cancelled: Set<Int>) {
        let entries = aside
        aside = []
        for (index, entry) in entries.enumerated() {
            drop(from: entry, now, cancelled, besides: entries[(index + 1)...])
            if entry.items.isEmpty { continue }
            if isDue(entry, now) { line.append(entry) } else { aside.append(entry) }
        }
    }

    mutating func sweep(_ now: Int, _ cancelled: Set<Int>) -> Bool {
        let entries = line
        line = []
        for (index, entry) in entries.enumerated() {
            drop(from: entry, now, cancelled, besides: entries[(index + 1)...])
            if !entry.items.isEmpty { line.append(entry) }
        }
        let count = line.count
        review(now, cancelled)
        return line.count > count
    }

    /// - Parameter others: further batches, which may be the one that forms behind this one.
    private mutating func drop(
        from entry: Entry, _ now: Int, _ cancelled: Set<Int>, besides others: ArraySlice<Entry> = []
    ) {
        let count = entry.items.count
        entry.items.removeAll { item in
            let hasExpired = item.deadline.map { $0 <= now } ?? false
            guard cancelled.contains(item.step) || hasExpired else { return false }
            dropped.append(.init(step: item.step, reason: cancelled.contains(item.step) ? .cancelled : .timedOut))
            return true
        }
        if entry.items.count < count, let first = entry.items.first {
            refill(entry, like: first, from: line + aside + others)
        }
    }

    /// Members of the batch that forms behind `entry` take the places that have become free.
    private mutating func refill(_ entry: Entry, like first: Item, from others: [Entry]) {
        let size = rules[first.model].size
        if let next = others.first(where: { $0 !== entry && canJoin($0, first) }) {
            while entry.rows < size, !next.items.isEmpty { entry.items.append(next.items.removeFirst()) }
            guard next.items.isEmpty else { return }
            next.isClosed = true
            aside.removeAll { $0 === next }
            line.removeAll { $0 === next }
        }
        if entry.rows < size { entry.isClosed = false }
    }

    mutating func takeDropped() -> [NumberedQueue.Dropped] {
        defer { dropped = [] }
        return dropped.sorted { $0.step < $1.step }
    }
}
