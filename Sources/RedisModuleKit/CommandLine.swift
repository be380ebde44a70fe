internal import CRedisModule

/// The arguments of a command that the module itself issues: to replicas, or to the append-only file.
public struct CommandLine: ~Copyable {
    private var strings: [ServerString] = []

    public init(capacity: Int) {
        strings.reserveCapacity(capacity)
    }

    public mutating func append(_ string: ServerString) {
        strings.append(string)
    }

    public mutating func append(_ text: String) {
        strings.append(ServerString(text))
    }

    public mutating func append(_ bytes: UnsafeRawBufferPointer) {
        strings.append(ServerString(bytes))
    }

    func withPointers(_ body: (UnsafeMutablePointer<OpaquePointer?>, Int) -> Void) {
        var pointers: [OpaquePointer?] = strings.map(\.raw)
        pointers.withUnsafeMutableBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return }
            body(base, buffer.count)
        }
    }
}
