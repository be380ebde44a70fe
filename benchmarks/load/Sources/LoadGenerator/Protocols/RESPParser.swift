import Glibc

/// Replies of RESP2 and RESP3: nested aggregates, errors within them, attributes and pushes.
struct RESPParser: ReplyParser {
    private enum State {
        case type, line, length, lengthEnd, bulk, bulkEnd, bulkLineFeed
    }

    /// An array, a map and so on, of which some values are still to come.
    private struct Aggregate {
        var missing: Int
        var type: UInt8
    }

    private static let maximumDepth = 128
    private static let maximumLength = 1 << 40

    private var state = State.type
    private var type: UInt8 = 0
    private var length = 0
    private var isNegative = false
    private var hasDigits = false
    private var aggregates: [Aggregate] = []
    private var errorText = ErrorText()
    private(set) var failure: String?
    private var hasStarted = false

    let isCompleteAtEnd = false
    let endsConnection = false
    static let repliesIncludeFraming = true

    mutating func next(in bytes: UnsafeRawBufferPointer) throws(MalformedReply) -> ReplyPiece {
        if !hasStarted {
            hasStarted = true
            failure = nil
        }
        var piece = ReplyPiece(consumed: 0)
        while piece.consumed < bytes.count {
            let valueEnded: Bool
            switch state {
            case .type: valueEnded = try readType(bytes, &piece)
            case .line: valueEnded = readLine(bytes, &piece)
            case .length: valueEnded = try readLength(bytes, &piece)
            case .lengthEnd: valueEnded = try readLengthEnd(bytes, &piece)
            case .bulk: valueEnded = readBulk(bytes, &piece)
            case .bulkEnd, .bulkLineFeed: valueEnded = try readBulkEnd(bytes, &piece)
            }
            if valueEnded {
                state = .type
                if endValue() {
                    hasStarted = false
                    piece.isComplete = true
                    return piece
                }
            }
        }
        return piece
    }

    private mutating func readType(
        _ bytes: UnsafeRawBufferPointer, _ piece: inout ReplyPiece
    ) throws(MalformedReply) -> Bool {
        type = bytes[piece.consumed]
        piece.consumed += 1
        switch type {
        case UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: ":"), UInt8(ascii: "_"), UInt8(ascii: "#"),
            UInt8(ascii: ","), UInt8(ascii: "("):
            state = .line
        case UInt8(ascii: "$"), UInt8(ascii: "!"), UInt8(ascii: "="), UInt8(ascii: "*"), UInt8(ascii: "%"),
            UInt8(ascii: "~"), UInt8(ascii: ">"), UInt8(ascii: "|"):
            state = .length
            length = 0
            isNegative = false
            hasDigits = false
        default:
            throw MalformedReply("RESP has no type \(describe(type))")
        }
        if type == UInt8(ascii: "-") || type == UInt8(ascii: "!") {
            errorText.removeAll()
        }
        return false
    }

    private mutating func readLine(_ bytes: UnsafeRawBufferPointer, _ piece: inout ReplyPiece) -> Bool {
        let rest = bytes[piece.consumed...]
        let lineFeed = index(of: UInt8(ascii: "\n"), in: rest)
        let end = lineFeed ?? bytes.count
        if type == UInt8(ascii: "-") {
            errorText.append(bytes[piece.consumed..<end])
        }
        piece.consumed = end
        guard lineFeed != nil else { return false }
        piece.consumed += 1
        if type == UInt8(ascii: "-") { noteFailure() }
        return true
    }

    private mutating func readLength(
        _ bytes: UnsafeRawBufferPointer, _ piece: inout ReplyPiece
    ) throws(MalformedReply) -> Bool {
        while piece.consumed < bytes.count {
            let byte = bytes[piece.consumed]
            piece.consumed += 1
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"):
                length = length * 10 + Int(byte - UInt8(ascii: "0"))
                hasDigits = true
                guard length <= Self.maximumLength else { throw MalformedReply("RESP length out of range") }
            case UInt8(ascii: "-") where !isNegative && !hasDigits:
                isNegative = true
            case UInt8(ascii: "\r") where hasDigits:
                state = .lengthEnd
                return false
            default:
                throw MalformedReply("RESP length with \(describe(byte))")
            }
        }
        return false
    }

    private mutating func readLengthEnd(
        _ bytes: UnsafeRawBufferPointer, _ piece: inout ReplyPiece
    ) throws(MalformedReply) -> Bool {
        try expect(UInt8(ascii: "\n"), bytes, &piece)
        guard !isNegative || length == 1 else { throw MalformedReply("RESP length -\(length)") }
        if isNegative { return true }
        switch type {
        case UInt8(ascii: "$"), UInt8(ascii: "!"), UInt8(ascii: "="):
            state = length > 0 ? .bulk : .bulkEnd
            return false
        default:
            return try startAggregate()
        }
    }

    /// - Returns: whether it is empty, so that it ends here.
    private mutating func startAggregate() throws(MalformedReply) -> Bool {
        let isMap = type == UInt8(ascii: "%") || type == UInt8(ascii: "|")
        guard aggregates.count < Self.maximumDepth else { throw MalformedReply("RESP nested too deep") }
        aggregates.append(Aggregate(missing: isMap ? 2 * length : length, type: type))
        state = .type
        if length == 0 { endEmptyAggregate() }
        return length == 0
    }

    /// Makes an empty aggregate one that waits for the end of the value that it is itself.
    private mutating func endEmptyAggregate() {
        aggregates[aggregates.count - 1].missing = 1
    }

    private mutating func readBulk(_ bytes: UnsafeRawBufferPointer, _ piece: inout ReplyPiece) -> Bool {
        let count = min(length, bytes.count - piece.consumed)
        let range = piece.consumed..<(piece.consumed + count)
        if type == UInt8(ascii: "!") {
            errorText.append(bytes[range])
        } else if aggregates.isEmpty {
            piece.payload = range
        }
        piece.consumed += count
        length -= count
        if length == 0 { state = .bulkEnd }
        return false
    }

    private mutating func readBulkEnd(
        _ bytes: UnsafeRawBufferPointer, _ piece: inout ReplyPiece
    ) throws(MalformedReply) -> Bool {
        guard state == .bulkLineFeed else {
            try expect(UInt8(ascii: "\r"), bytes, &piece)
            state = .bulkLineFeed
            return false
        }
        try expect(UInt8(ascii: "\n"), bytes, &piece)
        if type == UInt8(ascii: "!") { noteFailure() }
        return true
    }

    /// - Returns: whether the reply is complete.
    private mutating func endValue() -> Bool {
        while let last = aggregates.indices.last {
            aggregates[last].missing -= 1
            if aggregates[last].missing > 0 { return false }
            let ended = aggregates.removeLast()
            // The value that an attribute belongs to is still to come.
            if ended.type == UInt8(ascii: "|") { return false }
            // A push belongs to no command.
            if ended.type == UInt8(ascii: ">") && aggregates.isEmpty { return false }
        }
        return true
    }

    private mutating func noteFailure() {
        if failure == nil { failure = errorText.text }
    }

    private func expect(
        _ expected: UInt8, _ bytes: UnsafeRawBufferPointer, _ piece: inout ReplyPiece
    ) throws(MalformedReply) {
        let byte = bytes[piece.consumed]
        guard byte == expected else {
            throw MalformedReply("\(describe(byte)) in RESP where \(describe(expected)) should be")
        }
        piece.consumed += 1
    }
}

/// - Returns: the first index of `byte`.
func index(of byte: UInt8, in bytes: Slice<UnsafeRawBufferPointer>) -> Int? {
    let buffer = UnsafeRawBufferPointer(rebasing: bytes)
    guard let start = buffer.baseAddress, let found = memchr(start, Int32(byte), buffer.count) else { return nil }
    return bytes.startIndex + (UnsafeRawPointer(found) - start)
}

private func describe(_ byte: UInt8) -> String {
    switch byte {
    case UInt8(ascii: "\r"): "a carriage return"
    case UInt8(ascii: "\n"): "a line feed"
    case 0x21...0x7E: "'\(Character(UnicodeScalar(byte)))'"
    default: "byte \(byte)"
    }
}
