/// What processes used during the window, second by second.
struct Measurement {
    private static let memoryInterval = Clock.second / 4
    /// New processes are looked for so long before a second ends.
    private static let discoveryLead = Clock.second / 10

    private(set) var window: Window
    private(set) var watch: ProcessWatch
    /// At the start of the window and at the end of each second of it.
    private(set) var readings: [ProcessWatch.Reading]
    /// CPU time of this process within the window; nanoseconds.
    private(set) var ownCPU: UInt64 = 0
    private let ownStart: UInt64
    private var nextDiscovery: UInt64
    private var nextSample: UInt64

    /// Begins at the window's start.
    init(window: Window, watch: ProcessWatch) {
        self.window = window
        self.watch = watch
        self.watch.restart()
        ownStart = Clock.ownCPU()
        readings = [self.watch.sample()]
        nextDiscovery = window.start + Clock.second - Self.discoveryLead
        nextSample = window.start + Self.memoryInterval
    }

    /// Looks at the processes when it is time to.
    /// - Returns: the index of the second that has ended, if one has.
    mutating func advance(to now: UInt64) -> Int? {
        if now >= nextDiscovery {
            watch.discover()
            nextDiscovery += Clock.second
        }
        if now >= window.start + UInt64(readings.count) * Clock.second && now < window.end {
            readings.append(watch.sample())
            return readings.count - 2
        }
        if now >= nextSample {
            watch.sample()
            nextSample = now + Self.memoryInterval
        }
        return nil
    }

    /// Ends the window, at its end or earlier.
    mutating func end(at time: UInt64) {
        window.end = max(window.start, time)
        readings.append(watch.sample())
        ownCPU = Clock.ownCPU() - ownStart
    }

    /// CPU time of all processes in a second of the window; microseconds.
    func cpuPerInference(in second: Int, inferences: Int) -> Double? {
        guard inferences > 0, !watch.trees.isEmpty, readings.indices.contains(second + 1) else { return nil }
        let used = readings[second + 1].cpu - min(readings[second].cpu, readings[second + 1].cpu)
        return microseconds(used) / Double(inferences)
    }

    func residentBytes(in second: Int) -> Int? {
        watch.trees.isEmpty || !readings.indices.contains(second + 1) ? nil : readings[second + 1].residentBytes
    }
}

func microseconds(_ nanoseconds: UInt64) -> Double {
    Double(nanoseconds) / 1000
}
