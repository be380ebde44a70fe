import Glibc
import Synchronization
import Tensors

/// The allocator of one test: keeps the books of what the test allocates, and behaves as badly as the test wants.
///
/// The hooks serve the whole process, but only the task for which ``current`` is set gets blocks from here; all others
/// get the C library's.
final class RecordingAllocator: Sendable {
    @TaskLocal static var current: RecordingAllocator?

    /// Where blocks start beyond a multiple of 64.
    private let offset: Int
    /// Allocations that succeed; all later ones fail.
    private let capacity: Int
    private let books = Mutex(Books())

    struct Books: Equatable {
        var allocations = 0
        var releases = 0
        /// Bytes asked for and not given back.
        var bytesInUse = 0
        /// Blocks that were written to beyond their end.
        var overruns = 0
    }

    init(offset: Int = 0, capacity: Int = .max) {
        precondition(offset % 16 == 0 && offset < Block.alignment)
        self.offset = offset
        self.capacity = capacity
    }

    var recorded: Books { books.withLock { $0 } }

    /// Runs `body` with this allocator.
    @discardableResult
    func use<Result>(_ body: () throws -> Result) rethrows -> Result {
        try Self.$current.withValue(self, operation: body)
    }

    // MARK: Blocks

    private struct Block: @unchecked Sendable {
        static let alignment = 64
        /// Bytes behind each block that nobody may touch.
        static let fence = 64
        static let fenceByte: UInt8 = 0xEE
        /// What uninitialised memory is full of.
        static let garbage: UInt8 = 0xA5

        let owner: RecordingAllocator
        let base: UnsafeMutableRawPointer
        let start: UnsafeMutableRawPointer
        let byteCount: Int

        init?(_ owner: RecordingAllocator, byteCount: Int, fill: UInt8) {
            let total = owner.offset + byteCount + Self.fence
            let rounded = (total + Self.alignment - 1) / Self.alignment * Self.alignment
            guard let base = aligned_alloc(Self.alignment, rounded) else { return nil }
            self.owner = owner
            self.base = base
            self.byteCount = byteCount
            start = base + owner.offset
            memset(start, Int32(fill), byteCount)
            memset(start + byteCount, Int32(Self.fenceByte), Self.fence)
        }

        var isIntact: Bool {
            UnsafeRawBufferPointer(start: start + byteCount, count: Self.fence).allSatisfy { $0 == Self.fenceByte }
        }
    }

    /// The blocks in use of all allocators, by address.
    private static let blocks = Mutex<[UInt: Block]>([:])

    private func allocate(_ byteCount: Int, fill: UInt8) -> UnsafeMutableRawPointer? {
        let isGranted = books.withLock { books in
            guard books.allocations < capacity else { return false }
            books.allocations += 1
            books.bytesInUse += byteCount
            return true
        }
        guard isGranted, let block = Block(self, byteCount: byteCount, fill: fill) else { return nil }
        Self.blocks.withLock { $0[UInt(bitPattern: block.start)] = block }
        return block.start
    }

    private static func deallocate(_ pointer: UnsafeMutableRawPointer?) {
        let address = UInt(bitPattern: pointer)
        guard let block = blocks.withLock({ $0.removeValue(forKey: address) }) else { return free(pointer) }
        block.owner.books.withLock { books in
            books.releases += 1
            books.bytesInUse -= block.byteCount
            books.overruns += block.isIntact ? 0 : 1
        }
        free(block.base)
    }

    private static func usableSize(_ pointer: UnsafeMutableRawPointer?) -> Int {
        let address = UInt(bitPattern: pointer)
        return blocks.withLock { $0[address]?.byteCount } ?? 0
    }

    // MARK: Hooks

    static let hooks = TensorAllocator(
        allocate: { byteCount in
            guard let current else { return malloc(byteCount) }
            return current.allocate(byteCount, fill: Block.garbage)
        },
        allocateZeroed: { byteCount in
            guard let current else { return calloc(1, byteCount) }
            return current.allocate(byteCount, fill: 0)
        },
        deallocate: { deallocate($0) },
        usableSize: { usableSize($0) })
}
