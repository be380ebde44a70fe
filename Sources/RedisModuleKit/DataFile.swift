internal import CRedisModule

/// The payload cannot be read: it is truncated or malformed.
public struct DataFileError: Error {
    public init() {}
}

/// Reads a value from an RDB file or a RESTORE payload. Every read is checked: payloads come from clients too.
public struct DataFileReader {
    let raw: OpaquePointer

    public init?(_ raw: OpaquePointer?) {
        guard let raw else { return nil }
        self.raw = raw
    }

    private func check() throws(DataFileError) {
        if RedisModule_IsIOError(raw) != 0 { throw DataFileError() }
    }

    public func unsigned() throws(DataFileError) -> UInt64 {
        let value = RedisModule_LoadUnsigned(raw)
        try check()
        return value
    }

    public func signed() throws(DataFileError) -> Int64 {
        let value = RedisModule_LoadSigned(raw)
        try check()
        return value
    }

    /// An unsigned number that must fit `Int`.
    public func count() throws(DataFileError) -> Int {
        guard let value = Int(exactly: try unsigned()) else { throw DataFileError() }
        return value
    }

    /// A string in the server's memory, taken over without a copy.
    public func string() throws(DataFileError) -> ServerBuffer {
        var length = 0
        let bytes = RedisModule_LoadStringBuffer(raw, &length)
        try check()
        guard let bytes else { throw DataFileError() }
        return ServerBuffer(adopting: UnsafeMutableRawPointer(bytes), count: length)
    }

    /// The key being loaded; nil where the server does not know it.
    public var keyName: [UInt8]? {
        guard let name = RedisModule_GetKeyNameFromIO(raw) else { return nil }
        var length = 0
        let bytes = RedisModule_StringPtrLen(name, &length)
        return [UInt8](UnsafeRawBufferPointer(start: bytes, count: length))
    }

    /// Leaves a line about a bad payload in the server's log.
    public func logError(_ text: String) {
        RedisModule_LogIOErrorText(raw, "warning", text)
    }
}

/// Writes a value to an RDB file or a DUMP payload.
public struct DataFileWriter {
    private let raw: OpaquePointer

    public init?(_ raw: OpaquePointer?) {
        guard let raw else { return nil }
        self.raw = raw
    }

    public func unsigned(_ value: UInt64) {
        RedisModule_SaveUnsigned(raw, value)
    }

    public func unsigned(_ value: Int) {
        RedisModule_SaveUnsigned(raw, UInt64(clamping: value))
    }

    public func signed(_ value: Int) {
        RedisModule_SaveSigned(raw, Int64(value))
    }

    public func string(_ bytes: UnsafeRawBufferPointer) {
        RedisModule_SaveStringBuffer(raw, bytes.baseAddress?.assumingMemoryBound(to: CChar.self), bytes.count)
    }

    public func string(_ text: String) {
        var text = text
        text.withUTF8 { string(UnsafeRawBufferPointer($0)) }
    }

    /// A string that is stored with a trailing NUL.
    public func terminatedString(_ text: String) {
        let bytes = Array(text.utf8) + [0]
        bytes.withUnsafeBytes { string($0) }
    }
}

/// Writes commands into the append-only file while the server rewrites it.
public struct AppendOnlyFileWriter {
    private let raw: OpaquePointer
    /// The name of the key being written.
    private let key: OpaquePointer

    public init?(_ raw: OpaquePointer?, key: OpaquePointer?) {
        guard let raw, let key else { return nil }
        self.raw = raw
        self.key = key
    }

    /// The name of the key being written, as first argument of a command line.
    public var keyArgument: ServerString { ServerString(holding: Argument(raw: key)) }

    public func emit(_ command: StaticString, _ arguments: borrowing CommandLine) {
        arguments.withPointers { pointers, count in
            command.withCString { RedisModule_EmitAOFVector(raw, $0, pointers, count) }
        }
    }
}

/// Feeds the server's `DEBUG DIGEST`.
public struct DigestWriter {
    private let raw: OpaquePointer

    public init?(_ raw: OpaquePointer?) {
        guard let raw else { return nil }
        self.raw = raw
    }

    public func add(_ bytes: UnsafeRawBufferPointer) {
        RedisModule_DigestAddStringBuffer(raw, bytes.baseAddress?.assumingMemoryBound(to: CChar.self), bytes.count)
    }

    public func add(_ text: String) {
        var text = text
        text.withUTF8 { add(UnsafeRawBufferPointer($0)) }
    }

    public func add(_ number: Int) {
        RedisModule_DigestAddLongLong(raw, Int64(number))
    }

    public func endSequence() {
        RedisModule_DigestEndSequence(raw)
    }
}
