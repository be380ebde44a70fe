import FoundationEssentials
import Testing

@testable import LoadGenerator

extension String {
    fileprivate func replacing(_ range: Range<Index>, with text: String) -> String {
        self[..<range.lowerBound] + text + self[range.upperBound...]
    }
}

@Suite struct PlanTests {
    private static let payload = Data("*1\r\n$4\r\nPING\r\n".utf8).base64EncodedString()
    private static let valid = """
        {"label": "test", "seed": 1,
         "targets": {"main": {"protocol": "resp", "host": "127.0.0.1", "port": 6379},
                     "rpc": {"protocol": "grpc", "host": "127.0.0.1", "port": 6380}},
         "requests": [{"steps": [{"target": "main", "payload": "\(payload)"},
                                 {"target": "main", "payload": "\(payload)", "splice": {"offset": 2, "length": 4}}]}],
         "load": {"mode": "open", "rate": 100, "connections": 2}, "seconds": 5,
         "processes": [{"name": "server", "pid": 12}], "ping": {"target": "main", "rate": 10}}
        """

    @Test func aPlanIsRead() throws {
        let plan = try Plan(json: Data(Self.valid.utf8))
        #expect(plan.load == .open(OpenLoad(rate: 100, connections: 2, pipeline: 1, arrivals: .poisson)))
        #expect(plan.requests[0].steps[1].splice == Plan.Splice(offset: 2, length: 4))
        #expect(plan.requests[0].steps[0].payload.count == 14)
        #expect(plan.timeoutSeconds == 10)
    }

    @Test(
        arguments: [
            (#""seed": 1,"#, "", "plan.seed is missing"),
            (#""label": "test""#, #""label": 5"#, "plan.label is not of type String"),
            (#""protocol": "resp""#, #""protocol": "smtp""#, "plan.targets.main.protocol is damaged"),
            (#""port": 6379"#, #""port": 0"#, "plan.targets.main.port is 0, not between 1 and 65535"),
            (#""rate": 100"#, #""rate": -5"#, "plan.load.rate is -5.0, not between 0.1 and 10000000.0"),
            (#""rate": 100, "#, "", "plan.load.rate is missing"),
            (#""mode": "open""#, #""mode": "ajar""#, "plan.load.mode is damaged"),
            (#""connections": 2"#, #""connections": 0"#, "plan.load.connections is 0"),
            (#""seconds": 5"#, #""seconds": 0"#, "plan.seconds is 0.0"),
            (#""seconds": 5"#, #""seconds": 1e300"#, "plan.seconds is 1e+300"),
            (#""seconds": 5"#, #""seconds": 5, "threads": 0"#, "plan.threads is 0"),
            (#""offset": 2"#, #""offset": 12"#, "steps[1].splice is not within the payload of 14 bytes"),
            (#""offset": 2"#, #""offset": -1"#, "plan.requests[0].steps[1].splice is not within the payload"),
            (#""length": 4"#, #""length": 9223372036854775807"#, "steps[1].splice is not within"),
            (#""steps": [{"target": "main""#, #""steps": [{"target": "x""#, "there is no target \"x\""),
            (#""steps": [{"target": "main""#, #""steps": [{"target": "rpc""#, "steps[0].path should be"),
            (payload, "%%%", "plan.requests[0].steps[0].payload is damaged"),
            (#""pid": 12"#, #""pid": -1"#, "plan.processes[0].pid is not positive"),
            (#""ping": {"target": "main""#, #""ping": {"target": "rpc""#, "plan.ping.target is not"),
            (#"{"label""#, #"["label""#, "plan is damaged"),
        ])
    func whatIsWrongIsNamed(part: String, replacement: String, text: String) throws {
        let range = try #require(Self.valid.firstRange(of: part))
        let json = Self.valid.replacing(range, with: replacement)
        let error = #expect(throws: PlanError.self) { try Plan(json: Data(json.utf8)) }
        #expect(error?.description.contains(text) == true, "\(error?.description ?? "")")
    }

    @Test func aSpliceNeedsAReplyToTake() throws {
        let first = #"{"target": "main", "payload": "\#(Self.payload)"},"#
        let range = try #require(Self.valid.firstRange(of: first))
        let json = Self.valid.replacing(range, with: "")
        let error = #expect(throws: PlanError.self) { try Plan(json: Data(json.utf8)) }
        let place = "plan.requests[0].steps[0].splice"
        #expect(error?.description == "\(place): the step before is no RESP command with one reply")
    }

    @Test func aPlanThatIsNotThere() {
        let error = #expect(throws: PlanError.self) { try Plan(contentsOf: "/does/not/exist") }
        #expect(error?.description == "cannot read the plan /does/not/exist: No such file or directory")
    }
}
