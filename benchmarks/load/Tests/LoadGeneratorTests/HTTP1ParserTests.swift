import Testing

@testable import LoadGenerator

@Suite struct HTTP1ParserTests {
    private static let ok = "HTTP/1.1 200 OK\r\n"

    @Test(
        arguments: [
            (ok + "Content-Length: 5\r\n\r\nhello" + ok + "content-LENGTH:0\r\n\r\n", ["hello", ""]),
            (
                ok + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\na;x=y\r\n0123456789\r\n0\r\n\r\n",
                ["hello0123456789"]
            ),
            (ok + "Transfer-Encoding: gzip, Chunked\r\n\r\n0\r\nTrailer: 1\r\n\r\n", [""]),
            ("HTTP/1.1 100 Continue\r\n\r\n" + ok + "Content-Length: 1\r\n\r\nx", ["x"]),
            ("HTTP/1.1 204 No Content\r\n\r\n" + ok + "Content-Length: 2\nX: y\n\nab", ["", "ab"]),
        ])
    func framing(text: String, bodies: [String]) throws {
        for reads in allReads(of: text) {
            let replies = try parse(text, with: HTTP1Parser.self, reads: reads)
            #expect(replies == bodies.map { ParsedReply(payload: $0) }, "reads \(reads)")
        }
    }

    @Test func otherStatusesAreFailures() throws {
        let text = "HTTP/1.1 503 Not Now\r\nContent-Length: 2\r\n\r\nno" + Self.ok + "Content-Length: 0\r\n\r\n"
        for reads in allReads(of: text) {
            let replies = try parse(text, with: HTTP1Parser.self, reads: reads)
            #expect(
                replies == [ParsedReply(payload: "no", failure: "HTTP 503 Not Now"), ParsedReply()], "reads \(reads)")
        }
    }

    @Test(
        arguments: [
            ("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx", true),
            ("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", true),
            ("HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 1\r\n\r\nx", false),
        ])
    func endOfConnection(text: String, ends: Bool) throws {
        #expect(
            try parse(text, with: HTTP1Parser.self, reads: []) == [ParsedReply(payload: "x", endsConnection: ends)])
    }

    @Test func bodyUpToTheEnd() throws {
        var parser = HTTP1Parser()
        let text = Array("HTTP/1.1 200 OK\r\n\r\nabc".utf8)
        let piece = try text.withUnsafeBytes { bytes in try parser.next(in: bytes) }
        #expect(piece == ReplyPiece(consumed: 22, payload: 19..<22))
        #expect(parser.isCompleteAtEnd)
    }

    @Test(
        arguments: [
            ("SSH-2.0-OpenSSH_9.2\r\n", "no HTTP status line"),
            ("HTTP/1.1 2x0 OK\r\n", "no HTTP status line"),
            (ok + "no colon here\r\n", "HTTP header without a colon"),
            (ok + "Content-Length: -1\r\n", "HTTP content-length that is no number"),
            (ok + "Content-Length: 99999999999999999999\r\n", "HTTP content-length that is no number"),
            (ok + "Transfer-Encoding: chunked\r\n\r\nxyz\r\n", "HTTP chunk size that is no number"),
            (ok + "Transfer-Encoding: chunked\r\n\r\n\r\n", "HTTP chunk without a size"),
            (ok + "Transfer-Encoding: chunked\r\n\r\nfffffffffff\r\n", "HTTP chunk size out of range"),
            (ok + "Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n", "HTTP chunk longer than its size"),
        ])
    func malformed(text: String, expected: String) {
        for reads in allReads(of: text) {
            #expect(throws: MalformedReply(expected), "reads \(reads)") {
                try parse(text, with: HTTP1Parser.self, reads: reads)
            }
        }
    }

    @Test func endlessLines() {
        let text = Self.ok + String(repeating: "x", count: 200_000)
        #expect(throws: MalformedReply("HTTP line too long")) {
            try parse(text, with: HTTP1Parser.self, reads: Array(repeating: 1000, count: 200))
        }
    }
}
