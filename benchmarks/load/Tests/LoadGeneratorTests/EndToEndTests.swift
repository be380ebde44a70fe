import FoundationEssentials
import Glibc
import NIOCore
import Testing

@testable import LoadGenerator

/// Runs against servers within the test. One after the other: they are about time.
@Suite(.serialized, .timeLimit(.minutes(2))) struct EndToEndTests {
    private func command(_ arguments: String...) -> String {
        let bulks = arguments.map { "$\($0.utf8.count)\r\n\($0)\r\n" }
        return "*\(arguments.count)\r\n\(bulks.joined())"
    }

    private func base64(_ text: String) -> String {
        Data(text.utf8).base64EncodedString()
    }

    private func plan(
        port: Int, wire: String = "resp", steps: String, load: String, seconds: Double = 0.5, more: String = ""
    ) throws -> Plan {
        let json = """
            {"label": "test", "seed": 1,
             "targets": {"main": {"protocol": "\(wire)", "host": "127.0.0.1", "port": \(port)}},
             "requests": [{"steps": [\(steps)]}], "load": \(load), "seconds": \(seconds) \(more)}
            """
        return try Plan(json: Data(json.utf8))
    }

    private func ping() -> String {
        #"{"target": "main", "payload": "\#(base64(command("PING")))"}"#
    }

    /// A server that stops for 300 ms in the middle of a second: an open loop has to tell of all requests that were to
    /// start in that time, though hardly any did. A closed loop sees the pause once per connection.
    @Test func pausesDelayAllRequestsIntendedInThem() throws {
        func run(_ load: String) throws -> LoadResult {
            let start = Clock.now() + Clock.second / 2
            let pause = (start + Clock.second / 5)..<(start + Clock.second / 2)
            let server = try TestServer { _ in
                let now = Clock.now()
                guard pause.contains(now) else { return .reply("+PONG\r\n") }
                return .replyAfter(.nanoseconds(Int64(pause.upperBound - now)), "+PONG\r\n")
            }
            defer { server.stop() }
            let more = #", "warm_up_seconds": 0.5"#
            return try LoadRun(try plan(port: server.port, steps: ping(), load: load, seconds: 1, more: more)).run()
        }
        let open = try run(#"{"mode": "open", "rate": 500, "connections": 4, "arrivals": "constant"}"#)
        let latency = try #require(open.latency)
        #expect(open.completed == 500)
        #expect(open.errors.isEmpty)
        // A request in three waits, as long as the pause still goes on when it should have started.
        #expect(latency.p90 > 150_000 && latency.p90 < 290_000)
        #expect(latency.max > 250_000)
        #expect(latency.p50 < 50_000)

        let closed = try run(#"{"mode": "closed", "connections": 4}"#)
        #expect(try #require(closed.latency).p99 < 100_000)
        #expect(try #require(closed.latency).max > 200_000)
    }

    @Test func closedLoopWithPipelinesThreadsProcessesAndPings() throws {
        let server = try TestServer { command in .reply(command == ["PING"] ? "+PONG\r\n" : "$2\r\nab\r\n:1\r\n") }
        defer { server.stop() }
        let steps = #"{"target": "main", "payload": "\#(base64(command("GET", "a")))", "replies": 2}"#
        let more = """
            , "threads": 2, "warm_up_seconds": 0.1, "inferences_per_request": 3,
              "processes": [{"name": "self", "pid": \(getpid())}], "ping": {"target": "main", "rate": 100}
            """
        let plan = try plan(
            port: server.port, steps: steps, load: #"{"mode": "closed", "connections": 3, "pipeline": 5}"#,
            seconds: 1.2, more: more)
        var seconds = 0
        let result = try LoadRun(plan).run { _ in seconds += 1 }
        #expect(result.errors.isEmpty)
        #expect(result.completed > 100)
        #expect(result.inferences == 3 * result.completed)
        #expect(abs(result.throughput - Double(result.inferences) / 1.2) < result.throughput / 4)
        #expect(String(decoding: result.sampleReply, as: UTF8.self) == "$2\r\nab\r\n:1\r\n")
        #expect(seconds == 1)
        #expect(result.series.count == 2)
        #expect(result.ping != nil)
        #expect(try #require(result.serverCPU) > 0)
        #expect(result.processes[0].peakResidentBytes >= result.processes[0].residentBytes)
        #expect(result.processes[0].residentBytes > 1 << 20)
        let json = try JSONEncoder().encode(result)
        #expect(String(decoding: json, as: UTF8.self).contains(#""rate":null"#))
    }

    @Test func repliesAreSplicedIntoTheNextStep() throws {
        let server = try TestServer { command in
            command[0] == "GET" ? .reply("$4\r\nWXYZ\r\n") : .reply("$6\r\n\(command[1])\r\n")
        }
        defer { server.stop() }
        let echo = command("ECHO", "<____>")
        let offset = try #require(Array(echo.utf8).firstIndex(of: UInt8(ascii: "_")))
        func steps(length: Int) -> String {
            #"""
            {"target": "main", "payload": "\#(base64(command("GET", "k")))"},
            {"target": "main", "payload": "\#(base64(echo))", "splice": {"offset": \#(offset), "length": \#(length)}}
            """#
        }
        let load = #"{"mode": "closed", "connections": 2, "pipeline": 2}"#
        let good = try LoadRun(try plan(port: server.port, steps: steps(length: 4), load: load)).run()
        #expect(good.errors.isEmpty)
        #expect(good.completed > 10)
        #expect(String(decoding: good.sampleReply, as: UTF8.self) == "$6\r\n<WXYZ>\r\n")
        let bad = try LoadRun(try plan(port: server.port, steps: steps(length: 3), load: load)).run()
        #expect(bad.completed == 0)
        #expect(bad.errors.keys.sorted() == ["reply of 4 bytes where 3 are to be spliced in"])
    }

    /// Also when the server closes the connection after each response, said so or not.
    @Test(
        arguments: [
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", false),
            ("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello", true),
            ("HTTP/1.1 200 OK\r\n\r\nhello", true),
        ])
    func httpRequests(response: String, closes: Bool) throws {
        let server = try TestServer(bytes: response, closes: closes)
        defer { server.stop() }
        let steps = #"{"target": "main", "payload": "\#(base64("GET / HTTP/1.1\r\nHost: x\r\n\r\n"))"}"#
        let load = #"{"mode": "closed", "connections": 2}"#
        let result = try LoadRun(try plan(port: server.port, wire: "http1", steps: steps, load: load)).run()
        #expect(result.errors.isEmpty, "\(result.errors)")
        #expect(result.completed > 10)
        #expect(String(decoding: result.sampleReply, as: UTF8.self) == "hello")
    }

    @Test func grpcCalls() throws {
        let server = try TestServer(calls: { path, message in path == "/S/Echo" ? ("re: " + message, 0) : (nil, 5) })
        defer { server.stop() }
        func run(_ path: String) throws -> LoadResult {
            let steps = #"{"target": "main", "payload": "\#(base64("hello"))", "path": "\#(path)"}"#
            let load = #"{"mode": "closed", "connections": 2, "pipeline": 3}"#
            return try LoadRun(try plan(port: server.port, wire: "grpc", steps: steps, load: load)).run()
        }
        let good = try run("/S/Echo")
        #expect(good.errors.isEmpty)
        #expect(good.completed > 10)
        #expect(String(decoding: good.sampleReply, as: UTF8.self) == "re: hello")
        let bad = try run("/S/Other")
        #expect(bad.completed == 0)
        #expect(bad.errors.keys.sorted() == ["grpc-status 5: not here"])
    }

    @Test(
        arguments: [
            (TestServer.Action.reply("-ERR wrong\r\n"), "ERR wrong"),
            (.reply("*1\r\n-ERR within\r\n"), "ERR within"),
            (.reply("hello\r\n"), "malformed reply: RESP has no type 'h'"),
            (.reply("+a\r\n+b\r\n+c\r\n"), "malformed reply: 8 bytes that nothing asked for"),
            (.close, "connection to main closed"),
            (.ignore, "timeout"),
        ])
    func serversThatMisbehave(action: TestServer.Action, error: String) throws {
        let server = try TestServer { _ in action }
        defer { server.stop() }
        let start = Clock.now()
        let plan = try plan(
            port: server.port, steps: ping(), load: #"{"mode": "closed", "connections": 2}"#, seconds: 0.4,
            more: #", "timeout_seconds": 0.3"#)
        let result = try LoadRun(plan).run()
        #expect(result.errors[error] ?? 0 > 0, "\(result.errors)")
        #expect(Clock.now() - start < 5 * Clock.second)
    }

    @Test func anOverloadEndsTheRun() throws {
        let server = try TestServer { _ in .ignore }
        defer { server.stop() }
        let start = Clock.now()
        let load = #"{"mode": "open", "rate": 5000, "connections": 1}"#
        let plan = try plan(
            port: server.port, steps: ping(), load: load, seconds: 60, more: #", "timeout_seconds": 5"#)
        let result = try LoadRun(plan).run()
        #expect(result.errors["overload"] ?? 0 > 10_000)
        #expect(result.seconds > 1.5 && result.seconds < 10)
        #expect(Clock.now() - start < 20 * Clock.second)
    }

    @Test func aServerThatLeavesEndsTheRun() async throws {
        let server = try TestServer { _ in .close }
        let port = server.port
        let load = #"{"mode": "closed", "connections": 2}"#
        let plan = try plan(port: port, steps: ping(), load: load, seconds: 60)
        let start = Clock.now()
        let stopping = Task.detached {
            try await Task.sleep(for: .milliseconds(500))
            server.stop()
        }
        let result = try LoadRun(plan).run()
        try await stopping.value
        #expect(result.errors["no connection left"] == 1)
        #expect(result.errors["main (127.0.0.1:\(port)): Connection refused"] ?? 0 > 0, "\(result.errors)")
        #expect(Clock.now() - start < 20 * Clock.second)
    }

    @Test func targetsThatAreNotThere() throws {
        let server = try TestServer { _ in .ignore }
        let port = server.port
        server.stop()
        let text = "cannot connect: main (127.0.0.1:\(port)): Connection refused"
        for wire in ["resp", "grpc"] {
            let steps = #"{"target": "main", "payload": "\#(base64("x"))", "path": "/S/M"}"#
            let plan = try plan(
                port: port, wire: wire, steps: steps, load: #"{"mode": "closed", "connections": 2}"#)
            #expect(throws: RunError.unreachable(text)) { try LoadRun(plan).run() }
        }
    }
}
