public import CRedisModule

/// What a command answers.
public enum Reply {
    /// `+OK`
    case ok
    /// A simple string.
    case status(StaticString)
    case integer(Int)
    case bulk(String)
    /// RESP2 `$-1`, RESP3 `_`.
    case null
    /// A reply that writes itself.
    case encoded(any ReplyEncodable)
    /// Nothing now: the client has been blocked, and its operation will answer.
    case later
}

/// A value that knows how it looks on the wire.
public protocol ReplyEncodable {
    func encode(into reply: ReplyWriter)
}

/// Writes reply elements in order. RESP2 or RESP3 is the server's business.
public struct ReplyWriter {
    @usableFromInline let context: OpaquePointer

    /// Opens an array of exactly `count` elements.
    @inlinable
    public func array(_ count: Int) {
        _ = RedisModule_ReplyWithArray(context, count)
    }

    @inlinable
    public func integer(_ value: Int) {
        _ = RedisModule_ReplyWithLongLong(context, Int64(value))
    }

    @inlinable
    public func double(_ value: Double) {
        _ = RedisModule_ReplyWithDouble(context, value)
    }

    /// A bulk string.
    @inlinable
    public func bulk(_ bytes: UnsafeRawBufferPointer) {
        _ = RedisModule_ReplyWithStringBuffer(
            context, bytes.baseAddress?.assumingMemoryBound(to: CChar.self), bytes.count)
    }

    /// A bulk string of constant text: a label.
    @inlinable
    public func label(_ text: StaticString) {
        bulk(UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    /// A bulk string.
    public func bulk(_ text: String) {
        var text = text
        text.withUTF8 { bulk(UnsafeRawBufferPointer($0)) }
    }

    /// A bulk string.
    public func bulk(_ bytes: [UInt8]) {
        bytes.withUnsafeBytes { bulk($0) }
    }

    /// A simple string.
    public func status(_ text: StaticString) {
        text.withUTF8Buffer { bytes in
            _ = RedisModule_ReplyWithSimpleString(
                context, bytes.baseAddress.map { UnsafeRawPointer($0).assumingMemoryBound(to: CChar.self) })
        }
    }

    func null() {
        _ = RedisModule_ReplyWithNull(context)
    }

    /// An error, which may be an element of an array.
    public func error(_ error: CommandError) {
        _ = error.wireText.withCString { RedisModule_ReplyWithError(context, $0) }
    }

    func write(_ reply: Reply) {
        switch reply {
        case .ok: status("OK")
        case .status(let text): status(text)
        case .integer(let value): integer(value)
        case .bulk(let text): bulk(text)
        case .null: null()
        case .encoded(let value): value.encode(into: self)
        case .later: break
        }
    }
}
