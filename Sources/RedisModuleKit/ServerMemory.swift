internal import CRedisModule

/// The server's allocator, so that what the module keeps is counted in `used_memory`. Any thread.
public enum ServerMemory {
    /// `count` bytes, uninitialised; nil when there is no memory.
    public static let allocate: @convention(c) (Int) -> UnsafeMutableRawPointer? = { RedisModule_TryAlloc($0) }

    /// `count` zero bytes; nil when there is no memory. Large blocks come straight from the system, untouched.
    public static let allocateZeroed: @convention(c) (Int) -> UnsafeMutableRawPointer? = { count in
        if RedisModule_Has_TryCalloc() { return RedisModule_TryCalloc(1, count) }
        // Older servers only have the form that ends the process when memory runs out: ask first.
        guard let probe = RedisModule_TryAlloc(count) else { return nil }
        RedisModule_Free(probe)
        return RedisModule_Calloc(1, count)
    }

    public static let deallocate: @convention(c) (UnsafeMutableRawPointer?) -> Void = { RedisModule_Free($0) }

    /// Bytes that a block really takes.
    public static let usableSize: @convention(c) (UnsafeMutableRawPointer?) -> Int = { RedisModule_MallocSize($0) }
}

/// A block of the server's memory, freed with its last reference.
public final class ServerBuffer: @unchecked Sendable {
    private let base: UnsafeMutableRawPointer
    public let byteCount: Int

    init(adopting base: UnsafeMutableRawPointer, count: Int) {
        self.base = base
        byteCount = count
    }

    /// Copies `bytes`; nil when there is no memory.
    public init?(copying bytes: UnsafeRawBufferPointer) {
        guard let base = RedisModule_TryAlloc(max(1, bytes.count)) else { return nil }
        UnsafeMutableRawBufferPointer(start: base, count: bytes.count).copyMemory(from: bytes)
        self.base = base
        byteCount = bytes.count
    }

    deinit {
        BackgroundRelease.run(byteCount) { [base = SendablePointer(base)] in RedisModule_Free(base.value) }
    }

    /// Calls `body` with the bytes, in place.
    public func withBytes<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try body(UnsafeRawBufferPointer(start: base, count: byteCount))
    }

    /// A copy of the bytes; `terminated`: without their trailing NUL, if they have one.
    public func bytes(terminated: Bool) -> [UInt8] {
        withBytes { [UInt8]($0.prefix($0.count - (terminated && $0.last == 0 ? 1 : 0))) }
    }

    /// The bytes as text, without the trailing NUL that some layouts store.
    public var text: String {
        withBytes { bytes in
            let end = bytes.last == 0 ? bytes.count - 1 : bytes.count
            return String(decoding: bytes.prefix(end), as: UTF8.self)
        }
    }
}
