import FoundationEssentials

extension Plan {
    /// Reads and checks a plan.
    /// - Throws: `PlanError`.
    public init(contentsOf path: String) throws {
        let json: Data
        do {
            json = try Data(contentsOf: URL(filePath: path))
        } catch {
            throw PlanError("cannot read the plan \(path): \(FileError.reason(of: error))")
        }
        try self.init(json: json)
    }

    init(json: Data) throws {
        do {
            self = try JSONDecoder().decode(Plan.self, from: json)
        } catch let error as DecodingError {
            throw PlanError(error)
        }
        try validate()
    }

    private func validate() throws {
        try require(!requests.isEmpty, "plan.requests is empty")
        try require(inferencesPerRequest, in: 1...1_000_000, "inferences_per_request")
        try require(threads, in: 1...64, "threads")
        try require(warmUpSeconds, in: 0...3600, "warm_up_seconds")
        try require(seconds, in: 0.01...3600, "seconds")
        try require(timeoutSeconds, in: 0.01...3600, "timeout_seconds")
        try validateLoad()
        for (name, target) in targets {
            try require(target.port, in: 1...65535, "targets.\(name).port")
        }
        for (index, request) in requests.enumerated() {
            try validate(request, "plan.requests[\(index)]")
        }
        for (index, process) in processes.enumerated() {
            try require(process.pid > 0, "plan.processes[\(index)].pid is not positive")
        }
        if let ping {
            try require(targets[ping.target]?.wire == .resp, "plan.ping.target is not the name of a RESP target")
            try require(ping.rate, in: 0.1...100_000, "ping.rate")
        }
    }

    private func validateLoad() throws {
        try require(load.connections, in: 1...10_000, "load.connections")
        try require(load.pipeline, in: 1...10_000, "load.pipeline")
        if case .open(let open) = load {
            try require(open.rate, in: 0.1...10_000_000, "load.rate")
        }
    }

    private func validate(_ request: Request, _ place: String) throws {
        try require(!request.steps.isEmpty, "\(place).steps is empty")
        for (index, step) in request.steps.enumerated() {
            try validate(step, after: index > 0 ? request.steps[index - 1] : nil, "\(place).steps[\(index)]")
        }
    }

    private func validate(_ step: Step, after previous: Step?, _ place: String) throws {
        guard let target = targets[step.target] else {
            throw PlanError("\(place).target: there is no target \"\(step.target)\"")
        }
        try require((1...1_000_000).contains(step.replies), "\(place).replies is not between 1 and 1000000")
        try require(target.wire == .resp || step.replies == 1, "\(place).replies has a meaning for RESP only")
        try require(target.wire == .grpc || !step.payload.isEmpty, "\(place).payload is empty")
        if target.wire == .grpc {
            try require(step.path?.hasPrefix("/") == true, "\(place).path should be /service/Method")
        }
        guard let splice = step.splice else { return }
        try require(
            splice.offset >= 0 && splice.length > 0 && splice.length <= step.payload.count
                && splice.offset <= step.payload.count - splice.length,
            "\(place).splice is not within the payload of \(step.payload.count) bytes")
        guard let previous, targets[previous.target]?.wire == .resp, previous.replies == 1 else {
            throw PlanError("\(place).splice: the step before is no RESP command with one reply")
        }
    }

    private func require(_ condition: Bool, _ text: @autoclosure () -> String) throws {
        guard condition else { throw PlanError(text()) }
    }

    private func require<Value: Comparable>(_ value: Value, in range: ClosedRange<Value>, _ name: String) throws {
        try require(
            range.contains(value), "plan.\(name) is \(value), not between \(range.lowerBound) and \(range.upperBound)")
    }
}
