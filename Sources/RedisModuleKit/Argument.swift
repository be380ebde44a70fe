public import CRedisModule
public import Glibc

/// One argument of a command: a server string that lives as long as the command runs.
public struct Argument {
    @usableFromInline let raw: OpaquePointer
    @usableFromInline let start: UnsafePointer<CChar>?
    /// Length in bytes.
    public let byteCount: Int

    /// Asks the server for the bytes, once.
    @inlinable
    init(raw: OpaquePointer) {
        self.raw = raw
        var length = 0
        start = RedisModule_StringPtrLen(raw, &length)
        byteCount = length
    }

    /// Calls `body` with the argument's bytes, in place.
    @inlinable
    public func withBytes<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try body(UnsafeRawBufferPointer(start: start, count: byteCount))
    }

    /// The bytes, copied.
    public var bytes: [UInt8] { withBytes { [UInt8]($0) } }

    /// The argument as text; bytes that are not UTF-8 are replaced.
    public var text: String { withBytes { String(decoding: $0, as: UTF8.self) } }

    /// The text for use inside an error message: a client's megabytes are not sent back to it.
    public var excerpt: String {
        withBytes { String(decoding: $0.prefix(Self.excerptLimit), as: UTF8.self) }
    }
    private static let excerptLimit = 512

    /// Whether the argument is this keyword, given in upper case; the argument's case does not matter (ASCII).
    @inlinable
    public func matches(_ keyword: StaticString) -> Bool {
        // Called several times per argument of every command: most words are told apart by their length.
        guard byteCount == keyword.utf8CodeUnitCount, let start else { return false }
        // Most clients send what the documentation has.
        if memcmp(start, keyword.utf8Start, byteCount) == 0 { return true }
        for index in 0..<byteCount {
            let byte = UInt8(bitPattern: start[index])
            let upper = byte &- 0x61 < 26 ? byte & ~0x20 : byte
            guard upper == keyword.utf8Start[index] else { return false }
        }
        return true
    }

    /// Whether two arguments are the same byte for byte.
    public func hasSameBytes(as other: Argument) -> Bool {
        withBytes { bytes in
            other.withBytes { others in
                guard others.count == bytes.count, let left = bytes.baseAddress, let right = others.baseAddress else {
                    return others.isEmpty && bytes.isEmpty
                }
                return memcmp(left, right, bytes.count) == 0
            }
        }
    }

    /// The integer that the argument spells in canonical decimal form (no blanks, no `+`, no leading zeros).
    @inlinable
    public var integer: Int? {
        var value: Int64 = 0
        return RedisModule_StringToLongLong(raw, &value) == RM_OK ? Int(value) : nil
    }

    /// The number that the argument spells, by the server's own rules for numbers.
    @inlinable
    public var double: Double? {
        var value = 0.0
        return RedisModule_StringToDouble(raw, &value) == RM_OK ? value : nil
    }

    /// Like ``integer``, but forms such as `3.0` are accepted too.
    public var integerOrWholeNumber: Int? {
        if let integer { return integer }
        guard let double, let whole = Int(exactly: double) else { return nil }
        return whole
    }
}

/// The arguments of a command, read from left to right. The command's name is argument 0.
public struct Arguments {
    @usableFromInline let base: UnsafePointer<Argument>
    /// The number of arguments, the command's name included.
    public let count: Int
    /// The index of the argument that `next()` will return.
    public private(set) var position = 1

    private init(base: UnsafePointer<Argument>, count: Int) {
        self.base = base
        self.count = count
    }

    /// Calls `body` with what the server hands to a command.
    static func with<Result>(
        _ argv: UnsafeMutablePointer<OpaquePointer?>, _ argc: Int32, _ body: (Arguments) -> Result
    ) -> Result {
        // On the stack, unless there are many.
        withUnsafeTemporaryAllocation(of: Argument.self, capacity: max(1, Int(argc))) { buffer in
            var count = 0
            while count < Int(argc), let raw = argv[count] {
                buffer.initializeElement(at: count, to: Argument(raw: raw))
                count += 1
            }
            // There is room for one at least.
            return body(Arguments(base: UnsafePointer(buffer.baseAddress.unsafelyUnwrapped), count: count))
        }
    }

    /// How many arguments have not been read yet.
    public var remaining: Int { Swift.max(0, count - position) }

    /// The argument at `index`, or nil past the ends.
    public subscript(index: Int) -> Argument? {
        index >= 0 && index < count ? base[index] : nil
    }

    /// The next argument without consuming it.
    public var peek: Argument? { self[position] }

    /// Consumes and returns the next argument, or nil at the end.
    public mutating func next() -> Argument? {
        guard let argument = peek else { return nil }
        position += 1
        return argument
    }

    /// Consumes the next argument if it is `keyword` (upper case), whatever the case it was sent in.
    public mutating func consume(_ keyword: StaticString) -> Bool {
        guard let argument = peek, argument.matches(keyword) else { return false }
        position += 1
        return true
    }

    /// Consumes the next `count` arguments; nil, and nothing consumed, when there are fewer.
    public mutating func take(_ count: Int) -> ArgumentSlice? {
        guard count >= 0, count <= remaining else { return nil }
        defer { position += count }
        return ArgumentSlice(base: base + position, count: count)
    }

    /// A command within the command: `count` arguments from `start` on, the first of which is its name.
    public func command(from start: Int, count: Int) -> Arguments {
        precondition(start >= 0 && count >= 0 && start + count <= self.count)
        return Arguments(base: base + start, count: count)
    }

    /// Consumes everything that is left.
    public mutating func takeAll() -> ArgumentSlice {
        defer { position = count }
        return ArgumentSlice(base: base + position, count: remaining)
    }
}

/// A run of arguments, in order.
public struct ArgumentSlice: RandomAccessCollection {
    @usableFromInline let base: UnsafePointer<Argument>
    public let count: Int

    @usableFromInline
    init(base: UnsafePointer<Argument>, count: Int) {
        self.base = base
        self.count = count
    }

    @inlinable public var startIndex: Int { 0 }
    @inlinable public var endIndex: Int { count }

    @inlinable
    public subscript(index: Int) -> Argument {
        precondition(index >= 0 && index < count)
        return base[index]
    }
}
