import Histogram

/// The time that is measured: from its start, inclusive, to its end.
struct Window: Sendable, Equatable {
    var start: UInt64
    var end: UInt64

    func contains(_ time: UInt64) -> Bool {
        time >= start && time < end
    }

    var seconds: Double { Double(end - start) / Double(Clock.second) }
}

/// What one event loop, or all of them, has seen.
///
/// Latencies and errors are those of requests that were to start within the window, whenever they were answered: a reply
/// that comes late must not escape. Throughput and series are those of replies that came within the window.
struct Recorder: Sendable {
    /// One second of the window.
    struct Second: Sendable {
        var answered = 0
        var errors = 0
        var latency = Recorder.coarseHistogram

        /// Microseconds; nil when nothing was answered.
        func percentile(_ percentile: Double) -> Double? {
            answered > 0 ? microseconds(latency.valueAtPercentile(percentile)) : nil
        }

        mutating func add(_ other: Second) {
            answered += other.answered
            errors += other.errors
            latency.add(other.latency)
        }
    }

    /// Longer ones count as this long.
    private static let longest = 3600 * Clock.second
    /// To a tenth of a percent, from 100 ns.
    private static var fineHistogram: Histogram<UInt64> {
        Histogram(lowestDiscernibleValue: 100, highestTrackableValue: longest, numberOfSignificantValueDigits: .three)
    }
    /// To one percent: there is one per second.
    private static var coarseHistogram: Histogram<UInt32> {
        Histogram(lowestDiscernibleValue: 100, highestTrackableValue: longest, numberOfSignificantValueDigits: .two)
    }

    var window: Window
    /// Nanoseconds.
    private(set) var latency = Recorder.fineHistogram
    private(set) var completed = 0
    /// Replies within the window that told no error.
    private(set) var answered = 0
    private(set) var errors = ErrorCounts()
    private(set) var seconds: [Second] = []

    init(window: Window) {
        self.window = window
    }

    /// Notes the end of a request that should have started at `intended`.
    mutating func record(intended: UInt64, ended: UInt64, failure: String?) {
        let duration = min(ended > intended ? ended - intended : 0, Self.longest)
        let second = index(at: ended)
        if let failure {
            if let second { seconds[second].errors += 1 }
            if window.contains(intended) { errors.count(failure) }
            return
        }
        if let second {
            answered += 1
            seconds[second].answered += 1
            seconds[second].latency.record(duration)
        }
        if window.contains(intended) {
            completed += 1
            latency.record(duration)
        }
    }

    /// Notes an error that belongs to no request.
    mutating func record(incident: String, at now: UInt64, times: Int = 1) {
        guard window.contains(now) else { return }
        if let second = index(at: now) { seconds[second].errors += times }
        errors.count(incident, times: times)
    }

    /// Adds what another one has seen in the same window.
    mutating func add(_ other: Recorder) {
        latency.add(other.latency)
        completed += other.completed
        answered += other.answered
        errors.add(other.errors)
        while seconds.count < other.seconds.count { seconds.append(Second()) }
        for (index, second) in other.seconds.enumerated() {
            seconds[index].add(second)
        }
    }

    private mutating func index(at time: UInt64) -> Int? {
        guard window.contains(time) else { return nil }
        let index = Int((time - window.start) / Clock.second)
        while seconds.count <= index { seconds.append(Second()) }
        return index
    }
}

/// Errors by text. A server can think of endless texts, so only so many are kept apart.
struct ErrorCounts: Sendable, Equatable {
    private static let maximumTexts = 100

    private(set) var byText: [String: Int] = [:]

    var total: Int { byText.values.reduce(0, +) }

    mutating func count(_ text: String, times: Int = 1) {
        let isNew = byText[text] == nil && byText.count >= Self.maximumTexts
        byText[isNew ? "further errors" : text, default: 0] += times
    }

    mutating func add(_ other: ErrorCounts) {
        for (text, times) in other.byText { count(text, times: times) }
    }
}
