internal import CRedisModule

/// A server string of our own, or a reference to one of the client's. Main thread only.
public final class OwnedString {
    let raw: OpaquePointer

    /// Copies `bytes`.
    public init(_ bytes: UnsafeRawBufferPointer) {
        raw = RedisModule_CreateString(nil, bytes.baseAddress?.assumingMemoryBound(to: CChar.self), bytes.count)
    }

    public convenience init(_ text: String) {
        var text = text
        self.init(copying: &text)
    }

    private convenience init(copying text: inout String) {
        let bytes = Array(text.utf8)
        self.init(bytes: bytes)
    }

    public init(bytes: [UInt8]) {
        raw = bytes.withUnsafeBytes {
            RedisModule_CreateString(nil, $0.baseAddress?.assumingMemoryBound(to: CChar.self), $0.count)
        }
    }

    /// Keeps an argument beyond its command.
    public init(holding argument: Argument) {
        raw = RedisModule_HoldString(nil, argument.raw)
    }

    deinit {
        MainThread.release(string: raw)
    }
}

/// The arguments of a command that the module itself issues: to replicas, or to the append-only file.
public struct CommandLine: ~Copyable {
    private var strings: [OwnedString] = []

    public init(capacity: Int) {
        strings.reserveCapacity(capacity)
    }

    public mutating func append(_ string: OwnedString) {
        strings.append(string)
    }

    public mutating func append(_ text: String) {
        strings.append(OwnedString(text))
    }

    public mutating func append(_ bytes: UnsafeRawBufferPointer) {
        strings.append(OwnedString(bytes))
    }

    func withPointers(_ body: (UnsafeMutablePointer<OpaquePointer?>, Int) -> Void) {
        var pointers: [OpaquePointer?] = strings.map(\.raw)
        pointers.withUnsafeMutableBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return }
            body(base, buffer.count)
        }
    }
}
