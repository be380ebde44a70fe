import FoundationEssentials

/// What a run has measured, as it is written. Latencies are in microseconds.
public struct LoadResult: Encodable, Sendable {
    struct SecondResult: Encodable, Sendable {
        var second: Int
        var completed: Int
        var errors: Int
        var p50: Double?
        var p99: Double?
        var cpu: Double?
        var residentBytes: Int?

        enum CodingKeys: String, CodingKey {
            case second, completed, errors
            case p50 = "p50_us"
            case p99 = "p99_us"
            case cpu = "cpu_us_per_inference"
            case residentBytes = "rss_bytes"
        }
    }

    struct ProcessResult: Encodable, Sendable {
        var name: String
        var cpu: Double?
        var residentBytes: Int
        var peakResidentBytes: Int

        enum CodingKeys: String, CodingKey {
            case name
            case cpu = "cpu_us_per_inference"
            case residentBytes = "rss_bytes"
            case peakResidentBytes = "peak_rss_bytes"
        }
    }

    let label: String
    let mode: String
    let connections: Int
    let pipeline: Int
    let rate: Double?
    public let seconds: Double
    /// Requests that were to start within the measured time and were answered without an error.
    public let completed: Int
    let inferences: Int
    public let errors: [String: Int]
    /// Inferences per second.
    public let throughput: Double
    public let latency: LatencySummary?
    let distribution: [[Double]]
    let series: [SecondResult]
    let processes: [ProcessResult]
    public let serverCPU: Double?
    let clientCPU: Double?
    let ping: LatencySummary?
    let sampleReply: Data
    let seed: Int

    enum CodingKeys: String, CodingKey {
        case label, mode, connections, pipeline, rate, seconds, completed, inferences, errors, throughput
        case latency = "latency_us"
        case distribution, series, processes
        case serverCPU = "server_cpu_us_per_inference"
        case clientCPU = "client_cpu_us_per_inference"
        case ping = "ping_us"
        case sampleReply = "sample_reply"
        case seed
    }
}

extension LoadResult {
    init(plan: Plan, recorder: Recorder, ping: Recorder?, measurement: Measurement, sample: [UInt8]) {
        let answered = recorder.answered * plan.inferencesPerRequest
        func perInference(_ nanoseconds: UInt64) -> Double? {
            answered > 0 ? microseconds(nanoseconds) / Double(answered) : nil
        }
        label = plan.label
        seed = plan.seed
        connections = plan.load.connections
        pipeline = plan.load.pipeline
        switch plan.load {
        case .closed: (mode, rate) = ("closed", nil)
        case .open(let open): (mode, rate) = ("open", open.rate)
        }
        seconds = measurement.window.seconds
        completed = recorder.completed
        inferences = recorder.completed * plan.inferencesPerRequest
        errors = recorder.errors.byText.merging(
            (ping?.errors.byText ?? [:]).map { ("ping: \($0)", $1) }, uniquingKeysWith: +)
        throughput = seconds > 0 ? Double(answered) / seconds : 0
        latency = LatencySummary(recorder.latency)
        distribution = recorder.latency.distribution
        series = Self.series(plan, recorder, measurement)
        processes = measurement.watch.trees.map { tree in
            ProcessResult(
                name: tree.name, cpu: perInference(tree.cpu), residentBytes: tree.residentBytes,
                peakResidentBytes: tree.peakResidentBytes)
        }
        serverCPU = processes.isEmpty ? nil : perInference(measurement.watch.trees.reduce(0) { $0 + $1.cpu })
        clientCPU = perInference(measurement.ownCPU)
        self.ping = ping.flatMap { LatencySummary($0.latency) }
        sampleReply = Data(sample)
    }

    private static func series(_ plan: Plan, _ recorder: Recorder, _ measurement: Measurement) -> [SecondResult] {
        recorder.seconds.enumerated().map { index, second in
            SecondResult(
                second: index, completed: second.answered, errors: second.errors,
                p50: second.percentile(50), p99: second.percentile(99),
                cpu: measurement.cpuPerInference(in: index, inferences: second.answered * plan.inferencesPerRequest),
                residentBytes: measurement.residentBytes(in: index))
        }
    }

    public func encode(to encoder: any Encoder) throws {
        var values = encoder.container(keyedBy: CodingKeys.self)
        try values.encode(label, forKey: .label)
        try values.encode(mode, forKey: .mode)
        try values.encode(connections, forKey: .connections)
        try values.encode(pipeline, forKey: .pipeline)
        // What there is none of is null, not left out.
        try values.encode(rate, forKey: .rate)
        try values.encode(seconds, forKey: .seconds)
        try values.encode(completed, forKey: .completed)
        try values.encode(inferences, forKey: .inferences)
        try values.encode(errors, forKey: .errors)
        try values.encode(throughput, forKey: .throughput)
        try values.encode(latency, forKey: .latency)
        try values.encode(distribution, forKey: .distribution)
        try values.encode(series, forKey: .series)
        try values.encode(processes, forKey: .processes)
        try values.encode(serverCPU, forKey: .serverCPU)
        try values.encode(clientCPU, forKey: .clientCPU)
        try values.encode(ping, forKey: .ping)
        try values.encode(sampleReply, forKey: .sampleReply)
        try values.encode(seed, forKey: .seed)
    }

    /// Writes the result as JSON.
    /// - Throws: `RunError.system`.
    public func write(to path: String) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        do {
            try encoder.encode(self).write(to: URL(filePath: path), options: .atomic)
        } catch {
            throw RunError.system("cannot write the result \(path): \(FileError.reason(of: error))")
        }
    }
}
