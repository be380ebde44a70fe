@testable import LoadGenerator

/// What a parser tells of a reply.
struct ParsedReply: Equatable, CustomStringConvertible {
    var payload = ""
    var failure: String?
    var endsConnection = false

    var description: String { "(\(payload), \(failure ?? "no failure"), ends: \(endsConnection))" }
}

/// Feeds reads of these sizes, the last one taking the rest, and copies each so that nothing beyond it can be looked at.
func parse<Parser: ReplyParser>(
    _ text: String, with _: Parser.Type, reads: [Int]
) throws -> [ParsedReply] {
    var parser = Parser()
    var rest = Array(text.utf8)[...]
    var replies: [ParsedReply] = []
    var reply = ParsedReply()
    for size in reads + [rest.count] where !rest.isEmpty {
        var read = Array(rest.prefix(size))
        rest = rest.dropFirst(size)
        while !read.isEmpty {
            let piece = try read.withUnsafeBytes { bytes in
                Result { () throws(MalformedReply) in try parser.next(in: bytes) }
            }.get()
            reply.payload += String(decoding: read[piece.payload], as: UTF8.self)
            if piece.isComplete {
                reply.failure = parser.failure
                reply.endsConnection = parser.endsConnection
                replies.append(reply)
                reply = ParsedReply()
            }
            read.removeFirst(piece.consumed)
        }
    }
    return replies
}

/// All ways to read a text of this length: in two reads, and byte by byte.
func allReads(of text: String) -> [[Int]] {
    (0...text.utf8.count).map { [$0] } + [Array(repeating: 1, count: text.utf8.count)]
}
