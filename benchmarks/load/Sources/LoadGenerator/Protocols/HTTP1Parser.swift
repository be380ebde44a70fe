/// Responses of HTTP/1.1: with a length, in chunks, or up to the end of the connection.
struct HTTP1Parser: ReplyParser {
    private enum State {
        case status, header, body, bodyToEnd, chunkSize, chunk, chunkEnd, trailer
    }

    private static let maximumLine = 64 << 10
    private static let maximumHeaders = 1000
    private static let maximumLength = 1 << 40

    private var state = State.status
    /// The start of a line that a read ended in.
    private var partialLine: [UInt8] = []
    private var headers = 0
    private var status = 0
    private var contentLength: Int?
    private var isChunked = false
    private var closes = false
    /// Bytes of the body or of the chunk that are still to come.
    private var missing = 0
    private var statusText = ErrorText()
    private(set) var failure: String?
    private(set) var endsConnection = false

    var isCompleteAtEnd: Bool { state == .bodyToEnd }
    static let repliesIncludeFraming = false

    mutating func next(in bytes: UnsafeRawBufferPointer) throws(MalformedReply) -> ReplyPiece {
        var consumed = 0
        while consumed < bytes.count {
            switch state {
            case .body, .chunk:
                let count = min(missing, bytes.count - consumed)
                missing -= count
                let payload = consumed..<(consumed + count)
                guard missing == 0 else { return ReplyPiece(consumed: payload.upperBound, payload: payload) }
                let isBody = state == .body
                state = .chunkEnd
                if isBody { complete() }
                return ReplyPiece(consumed: payload.upperBound, payload: payload, isComplete: isBody)
            case .bodyToEnd:
                return ReplyPiece(consumed: bytes.count, payload: consumed..<bytes.count)
            default:
                if try readLine(bytes, &consumed) {
                    complete()
                    return ReplyPiece(consumed: consumed, isComplete: true)
                }
            }
        }
        return ReplyPiece(consumed: consumed)
    }

    /// - Returns: whether the response ends with this line.
    private mutating func readLine(
        _ bytes: UnsafeRawBufferPointer, _ consumed: inout Int
    ) throws(MalformedReply) -> Bool {
        guard let end = index(of: UInt8(ascii: "\n"), in: bytes[consumed...]) else {
            partialLine.append(contentsOf: bytes[consumed...])
            consumed = bytes.count
            guard partialLine.count <= Self.maximumLine else { throw MalformedReply("HTTP line too long") }
            return false
        }
        let rest = UnsafeRawBufferPointer(rebasing: bytes[consumed..<end])
        consumed = end + 1
        if partialLine.isEmpty { return try handle(line: rest.withoutCarriageReturn) }
        var line = partialLine
        line.append(contentsOf: rest)
        partialLine.removeAll(keepingCapacity: true)
        // A closure that throws a typed error is beyond withUnsafeBytes.
        let result = line.withUnsafeBytes { bytes in
            Result { () throws(MalformedReply) in try handle(line: bytes.withoutCarriageReturn) }
        }
        return try result.get()
    }

    private mutating func handle(line: UnsafeRawBufferPointer) throws(MalformedReply) -> Bool {
        switch state {
        case .status:
            try handle(statusLine: line)
        case .header:
            if line.isEmpty { return endHeaders() }
            headers += 1
            guard headers <= Self.maximumHeaders else { throw MalformedReply("too many HTTP headers") }
            try handle(header: line)
        case .chunkSize:
            missing = try chunkSize(line)
            state = missing > 0 ? .chunk : .trailer
        case .chunkEnd:
            guard line.isEmpty else { throw MalformedReply("HTTP chunk longer than its size") }
            state = .chunkSize
        default:
            return line.isEmpty
        }
        return false
    }

    private mutating func handle(statusLine line: UnsafeRawBufferPointer) throws(MalformedReply) {
        guard line.count >= 12, line.prefix(7).elementsEqual("HTTP/1.".utf8), line[8] == UInt8(ascii: " "),
            let code = decimal(line[9..<12])
        else { throw MalformedReply("no HTTP status line") }
        status = code
        failure = nil
        endsConnection = false
        contentLength = nil
        isChunked = false
        headers = 0
        closes = line[7] == UInt8(ascii: "0")
        if !(200..<300).contains(code) {
            statusText.removeAll()
            statusText.append(line[9...])
        }
        state = .header
    }

    private mutating func handle(header line: UnsafeRawBufferPointer) throws(MalformedReply) {
        guard let colon = index(of: UInt8(ascii: ":"), in: line[...]) else {
            throw MalformedReply("HTTP header without a colon")
        }
        let name = line[..<colon]
        let value = trimmed(line[(colon + 1)...])
        if isEqual(name, "content-length") {
            guard let length = decimal(value), length <= Self.maximumLength else {
                throw MalformedReply("HTTP content-length that is no number")
            }
            contentLength = length
        } else if isEqual(name, "transfer-encoding") {
            isChunked = isEqual(value.suffix(7), "chunked")
        } else if isEqual(name, "connection") {
            if isEqual(value, "close") { closes = true }
            if isEqual(value, "keep-alive") { closes = false }
        }
    }

    /// - Returns: whether there is no body.
    private mutating func endHeaders() -> Bool {
        if (100..<200).contains(status) {
            state = .status
            return false
        }
        if status == 204 || status == 304 { return true }
        if isChunked {
            state = .chunkSize
            return false
        }
        guard let contentLength else {
            closes = true
            state = .bodyToEnd
            return false
        }
        missing = contentLength
        state = .body
        return contentLength == 0
    }

    private mutating func complete() {
        state = .status
        endsConnection = closes
        if !(200..<300).contains(status) { failure = "HTTP \(statusText.text)" }
    }
}

private func chunkSize(_ line: UnsafeRawBufferPointer) throws(MalformedReply) -> Int {
    var size = 0
    var digits = 0
    for byte in line {
        guard let digit = Character(UnicodeScalar(byte)).hexDigitValue else {
            guard byte == UInt8(ascii: ";") || byte == UInt8(ascii: " ") else {
                throw MalformedReply("HTTP chunk size that is no number")
            }
            break
        }
        digits += 1
        guard digits <= 10 else { throw MalformedReply("HTTP chunk size out of range") }
        size = size << 4 | digit
    }
    guard digits > 0 else { throw MalformedReply("HTTP chunk without a size") }
    return size
}

private func decimal(_ digits: Slice<UnsafeRawBufferPointer>) -> Int? {
    guard !digits.isEmpty, digits.count <= 15 else { return nil }
    var value = 0
    for byte in digits {
        guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) else { return nil }
        value = value * 10 + Int(byte - UInt8(ascii: "0"))
    }
    return value
}

/// Compares with a name in lower case.
private func isEqual(_ bytes: Slice<UnsafeRawBufferPointer>, _ name: StaticString) -> Bool {
    guard bytes.count == name.utf8CodeUnitCount else { return false }
    let expected = UnsafeBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount)
    return zip(bytes, expected).allSatisfy { byte, lower in
        byte == lower || (byte | 0x20 == lower && (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(lower))
    }
}

private func trimmed(_ bytes: Slice<UnsafeRawBufferPointer>) -> Slice<UnsafeRawBufferPointer> {
    var bytes = bytes
    while let first = bytes.first, first == 0x20 || first == 0x09 { bytes.removeFirst() }
    while let last = bytes.last, last == 0x20 || last == 0x09 { bytes.removeLast() }
    return bytes
}

extension UnsafeRawBufferPointer {
    fileprivate var withoutCarriageReturn: UnsafeRawBufferPointer {
        last == UInt8(ascii: "\r") ? UnsafeRawBufferPointer(rebasing: dropLast()) : self
    }
}
