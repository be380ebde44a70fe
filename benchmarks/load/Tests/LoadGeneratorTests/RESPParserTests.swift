import Testing

@testable import LoadGenerator

@Suite struct RESPParserTests {
    @Test(
        arguments: [
            ("+OK\r\n", [ParsedReply()]),
            (":-42\r\n+OK\r\n", [ParsedReply(), ParsedReply()]),
            ("$5\r\nhello\r\n$0\r\n\r\n", [ParsedReply(payload: "hello"), ParsedReply()]),
            ("$4\r\n\r\n\r\n\r\n+OK\r\n", [ParsedReply(payload: "\r\n\r\n"), ParsedReply()]),
            ("$-1\r\n*-1\r\n_\r\n", [ParsedReply(), ParsedReply(), ParsedReply()]),
            ("*2\r\n$2\r\nab\r\n:1\r\n+OK\r\n", [ParsedReply(), ParsedReply()]),
            ("*0\r\n*2\r\n*0\r\n*1\r\n*0\r\n", [ParsedReply(), ParsedReply()]),
            ("-ERR no\r\n+OK\r\n", [ParsedReply(failure: "ERR no"), ParsedReply()]),
            ("*2\r\n+a\r\n*1\r\n-ERR in\r\n+OK\r\n", [ParsedReply(failure: "ERR in"), ParsedReply()]),
            ("*2\r\n-ERR 1\r\n-ERR 2\r\n", [ParsedReply(failure: "ERR 1")]),
            ("!7\r\nERR big\r\n", [ParsedReply(failure: "ERR big")]),
            ("%2\r\n+a\r\n:1\r\n+b\r\n~2\r\n#t\r\n,1.5\r\n(123\r\n", [ParsedReply(), ParsedReply()]),
            ("=7\r\ntxt:abc\r\n", [ParsedReply(payload: "txt:abc")]),
            ("|1\r\n+k\r\n*1\r\n:1\r\n$2\r\nab\r\n", [ParsedReply(payload: "ab")]),
            ("*2\r\n|1\r\n+k\r\n+v\r\n:1\r\n:2\r\n+OK\r\n", [ParsedReply(), ParsedReply()]),
            (">2\r\n+message\r\n+x\r\n|0\r\n+OK\r\n", [ParsedReply()]),
        ])
    func framing(text: String, expected: [ParsedReply]) throws {
        for reads in allReads(of: text) {
            #expect(try parse(text, with: RESPParser.self, reads: reads) == expected, "reads \(reads)")
        }
    }

    @Test(
        arguments: [
            ("hello\r\n", "RESP has no type 'h'"),
            ("$x\r\n", "RESP length with 'x'"),
            ("$\r\n", "RESP length with a carriage return"),
            ("$-2\r\n", "RESP length -2"),
            ("$99999999999999999999\r\n", "RESP length out of range"),
            ("$2\r\nabc\r\n", "'c' in RESP where a carriage return should be"),
            ("$2\r\nab\rx", "'x' in RESP where a line feed should be"),
            (String(repeating: "*1\r\n", count: 200), "RESP nested too deep"),
        ])
    func malformed(text: String, expected: String) {
        for reads in allReads(of: text) {
            #expect(throws: MalformedReply(expected), "reads \(reads)") {
                try parse(text, with: RESPParser.self, reads: reads)
            }
        }
    }

    @Test func longErrorsAreCutShort() throws {
        let text = "-ERR " + String(repeating: "x", count: 100_000) + "\r\n"
        let replies = try parse(text, with: RESPParser.self, reads: Array(repeating: 1000, count: 100))
        #expect(replies.count == 1)
        #expect(replies[0].failure?.count == 200)
    }
}
