/// Finds where replies end, over reads that end anywhere. Nothing is decoded beyond what that needs.
protocol ReplyParser {
    init()

    /// Consumes some of `bytes`, which are not empty, and never more than up to the end of a reply.
    /// - Throws: `MalformedReply`.
    mutating func next(in bytes: UnsafeRawBufferPointer) throws(MalformedReply) -> ReplyPiece

    /// What the server ended the connection in the middle of is a reply nevertheless.
    var isCompleteAtEnd: Bool { get }
    /// The server closes the connection after the reply that was completed last.
    var endsConnection: Bool { get }
    /// The error that the reply completed last told, if it did.
    var failure: String? { get }
    /// Whether people mean a reply with its framing when they speak of "the reply".
    static var repliesIncludeFraming: Bool { get }
}

/// What a parser made of some bytes.
struct ReplyPiece: Equatable {
    var consumed: Int
    /// The part of a bulk string or of a body among the consumed bytes.
    var payload: Range<Int> = 0..<0
    var isComplete = false
}

struct MalformedReply: Error, Equatable {
    let text: String

    init(_ text: String) {
        self.text = "malformed reply: \(text)"
    }
}

/// The start of an error text from a server: errors are counted by text, so it has to be short.
struct ErrorText {
    private static let limit = 200
    private var bytes: [UInt8] = []

    mutating func append(_ more: some Sequence<UInt8>) {
        bytes.append(contentsOf: more.prefix(Self.limit - bytes.count))
    }

    mutating func removeAll() {
        bytes.removeAll(keepingCapacity: true)
    }

    var text: String {
        let text = String(decoding: bytes, as: UTF8.self)
        return text.last?.isNewline == true ? String(text.dropLast()) : text
    }
}
