/// Which steps of a request may run, and when: those of one device one after the other in the order of the command, those
/// of different devices side by side, each after the steps that make its inputs.
///
/// Pure bookkeeping: it neither runs anything nor looks at a clock.
struct StepSchedule {
    /// Per step, how many others must end before it.
    private var blockers: [Int]
    /// Per step, those that wait for it.
    private var dependents: [[Int]]
    private var unstartedCount: Int
    private var runningCount = 0
    /// Whether nothing more is to be started.
    private(set) var isStopped = false

    /// - Parameters:
    ///   - devices: a number per step, equal for steps of one device.
    ///   - producers: per step, the earlier steps whose outputs it takes.
    init(devices: [Int], producers: [[Int]]) {
        blockers = Array(repeating: 0, count: devices.count)
        dependents = Array(repeating: [], count: devices.count)
        unstartedCount = devices.count
        var last: [Int: Int] = [:]
        for step in devices.indices {
            if let previous = last.updateValue(step, forKey: devices[step]) { block(step, by: previous) }
            for producer in producers[step] { block(step, by: producer) }
        }
    }

    /// A single step needs no bookkeeping of others.
    private init() {
        blockers = []
        dependents = []
        unstartedCount = 1
    }

    static let single = StepSchedule()

    private mutating func block(_ step: Int, by other: Int) {
        blockers[step] += 1
        dependents[other].append(step)
    }

    /// Whether nothing runs, and nothing will.
    var isOver: Bool { runningCount == 0 && (isStopped || unstartedCount == 0) }

    /// The steps to begin with. They count as running.
    mutating func start() -> [Int] {
        let ready = blockers.isEmpty && unstartedCount == 1 ? [0] : blockers.indices.filter { blockers[$0] == 0 }
        begin(ready)
        return ready
    }

    /// Notes that a running step has ended; returns those that may run now, which then count as running.
    mutating func end(_ step: Int) -> [Int] {
        runningCount -= 1
        guard !isStopped, step < dependents.count else { return [] }
        var ready: [Int] = []
        for dependent in dependents[step] {
            blockers[dependent] -= 1
            if blockers[dependent] == 0 { ready.append(dependent) }
        }
        begin(ready)
        return ready
    }

    /// Nothing more is to be started.
    mutating func stop() {
        isStopped = true
    }

    private mutating func begin(_ steps: [Int]) {
        runningCount += steps.count
        unstartedCount -= steps.count
    }
}

extension StepSchedule {
    init(_ plan: RequestPlan) {
        if plan.steps.count == 1 {
            self = .single
            return
        }
        var numbers: [String: Int] = [:]
        var producer: [Int: Int] = [:]
        var devices: [Int] = []
        var producers: [[Int]] = []
        for (index, step) in plan.steps.enumerated() {
            let name = step.work?.artifact.identity.device.queueName ?? ""
            let number = numbers[name] ?? numbers.count
            numbers[name] = number
            devices.append(number)
            producers.append(step.inputs.compactMap { producer[plan.inputSlots[$0]] })
            for slot in step.outputs { producer[slot] = index }
        }
        self.init(devices: devices, producers: producers)
    }
}
