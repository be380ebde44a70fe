import NIOCore

/// One run of a plan.
public struct LoadRun {
    /// What a second has brought, for people who watch.
    public struct Second: Sendable {
        public var index: Int
        public var answered: Int
        public var errors: Int
        /// What was not measured is nil.
        public var p50Microseconds: Double?
        public var p99Microseconds: Double?
        public var cpuMicrosecondsPerInference: Double?
    }

    private static let pollInterval = Clock.second / 20
    private static let pingPipeline = 1000
    private static let backlogSeconds = 2.0
    private static let minimumBacklog = 1000

    private let plan: Plan

    public init(_ plan: Plan) {
        self.plan = plan
    }

    /// Connects, plays the load, and waits for the last replies; all bounded by the plan's times.
    /// - Parameter onSecond: called after each second of the measured time.
    /// - Throws: `RunError`.
    public func run(onSecond: (Second) -> Void = { _ in }) throws -> LoadResult {
        var watch = try ProcessWatch(plan.processes)
        let load = try loadPlayers()
        defer { load.shutDown() }
        let ping = try pingPlayers()
        defer { ping?.shutDown() }
        try load.connect()
        try ping?.connect()

        // A moment at least, so that the processes' clocks are read when the window starts.
        let start = Clock.now() + max(Clock.nanoseconds(plan.warmUpSeconds), Self.pollInterval)
        let window = Window(start: start, end: start + Clock.nanoseconds(plan.seconds))
        try ping?.map { $0.start(window: window) }
        try load.map { $0.start(window: window) }
        let measurement = try measure(window, load, &watch, onSecond)
        try drain([load] + (ping.map { [$0] } ?? []), until: measurement.window.end)

        let samples = try load.map { $0.sample }
        let recorder = try stop(load, measurement.window)
        return LoadResult(
            plan: plan, recorder: recorder, ping: try ping.map { try stop($0, measurement.window) },
            measurement: measurement, sample: samples[0])
    }

    private func loadPlayers() throws -> Players {
        let playbook = try Playbook(plan)
        let count = min(plan.threads, plan.load.connections)
        return try Players(count: count) { [plan] index in
            var part = Player.Part(
                playbook: playbook, load: plan.load, index: index, count: count, seed: plan.seed,
                timeout: Clock.nanoseconds(plan.timeoutSeconds), isSampling: index == 0)
            if case .open(let open) = plan.load {
                let share = Int(Self.backlogSeconds * open.rate / Double(count))
                part.backlogLimit = max(Self.minimumBacklog, share)
            }
            return part
        }
    }

    private func pingPlayers() throws -> Players? {
        guard let ping = plan.ping, let target = plan.targets[ping.target] else { return nil }
        let playbook = Playbook(command: "PING", to: try PreparedTarget(name: ping.target, target))
        let load = Load.open(OpenLoad(rate: ping.rate, connections: 1, pipeline: Self.pingPipeline))
        return try Players(count: 1) { [plan] _ in
            Player.Part(
                playbook: playbook, load: load, index: 0, count: 1, seed: plan.seed &+ 1,
                timeout: Clock.nanoseconds(plan.timeoutSeconds))
        }
    }

    /// Watches the processes through the window, and ends it early when a player gives up.
    private func measure(
        _ window: Window, _ load: Players, _ watch: inout ProcessWatch, _ onSecond: (Second) -> Void
    ) throws -> Measurement {
        // The load may have made servers start processes.
        let discovery = window.start - Self.pollInterval
        var end = try waitForEnd(load, Window(start: Clock.now(), end: discovery)) { _ in }
        watch.discover()
        end = try end ?? waitForEnd(load, Window(start: discovery, end: window.start)) { _ in }
        var measurement = Measurement(window: window, watch: watch)
        guard end == nil else {
            measurement.end(at: window.start)
            return measurement
        }
        end = try waitForEnd(load, window) { now in
            guard let index = measurement.advance(to: now) else { return }
            onSecond(try second(index, of: load, measurement))
        }
        if let end {
            try load.map { $0.endWindow(at: end) }
        }
        measurement.end(at: end ?? window.end)
        return measurement
    }

    /// Sleeps through a window.
    /// - Returns: the time at which a player gave up.
    private func waitForEnd(_ load: Players, _ window: Window, _ onPoll: (UInt64) throws -> Void) throws -> UInt64? {
        var next = window.start
        while next < window.end {
            next = min(next + Self.pollInterval, window.end)
            Clock.sleep(until: next)
            try onPoll(next)
            if let time = try load.map({ $0.progress.gaveUp }).compactMap(\.self).min() {
                return max(window.start, min(time, window.end))
            }
        }
        return nil
    }

    private func second(_ index: Int, of load: Players, _ measurement: Measurement) throws -> Second {
        let parts = try load.map { $0.second(index) }
        let sum = parts.dropFirst().reduce(into: parts[0]) { $0.add($1) }
        return Second(
            index: index, answered: sum.answered, errors: sum.errors,
            p50Microseconds: sum.percentile(50), p99Microseconds: sum.percentile(99),
            cpuMicrosecondsPerInference: measurement.cpuPerInference(
                in: index, inferences: sum.answered * plan.inferencesPerRequest))
    }

    /// Waits for replies that are still to come.
    private func drain(_ all: [Players], until end: UInt64) throws {
        let deadline = end + Clock.nanoseconds(plan.timeoutSeconds) + Clock.second
        while Clock.now() < deadline {
            if try all.allSatisfy({ try $0.map { $0.progress.isIdle }.allSatisfy(\.self) }) { return }
            Clock.sleep(until: Clock.now() + Clock.second / 100)
        }
    }

    private func stop(_ players: Players, _ window: Window) throws -> Recorder {
        var sum = Recorder(window: window)
        for recorder in try players.map({ $0.stop() }) { sum.add(recorder) }
        return sum
    }
}
