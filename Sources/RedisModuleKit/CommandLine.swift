internal import CRedisModule

/// The arguments of a command that the module itself issues: to replicas, or to the append-only file. Main thread only.
public struct CommandLine: ~Copyable {
    /// Each owns one reference.
    private var strings: [OpaquePointer?] = []

    public init(capacity: Int) {
        strings.reserveCapacity(capacity)
    }

    deinit {
        for string in strings { RedisModule_FreeString(nil, string) }
    }

    /// Appends a string without copying it.
    public mutating func append(_ string: ServerString) {
        strings.append(RedisModule_HoldString(nil, string.raw))
    }

    public mutating func append(_ text: String) {
        var text = text
        text.withUTF8 { append(UnsafeRawBufferPointer($0)) }
    }

    public mutating func append(_ text: StaticString) {
        append(UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    public mutating func append(_ bytes: UnsafeRawBufferPointer) {
        let start = bytes.baseAddress?.assumingMemoryBound(to: CChar.self)
        strings.append(RedisModule_CreateString(nil, start, bytes.count))
    }

    func withPointers(_ body: (UnsafeMutablePointer<OpaquePointer?>, Int) -> Void) {
        var pointers = strings
        pointers.withUnsafeMutableBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return }
            body(base, buffer.count)
        }
    }
}
