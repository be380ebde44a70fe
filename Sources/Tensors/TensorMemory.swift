internal import Glibc
internal import Synchronization

/// Where tensor bytes come from. Inside a server this is the server's allocator, so that its memory figures count
/// tensors; elsewhere the C library's.
public struct TensorAllocator: Sendable {
    /// Uninitialised bytes, or nil.
    public let allocate: @convention(c) (Int) -> UnsafeMutableRawPointer?
    /// Zero bytes, or nil.
    public let allocateZeroed: @convention(c) (Int) -> UnsafeMutableRawPointer?
    public let deallocate: @convention(c) (UnsafeMutableRawPointer?) -> Void
    /// The bytes that a block really takes; 0 when the allocator cannot tell.
    public let usableSize: @convention(c) (UnsafeMutableRawPointer?) -> Int

    public init(
        allocate: @escaping @convention(c) (Int) -> UnsafeMutableRawPointer?,
        allocateZeroed: @escaping @convention(c) (Int) -> UnsafeMutableRawPointer?,
        deallocate: @escaping @convention(c) (UnsafeMutableRawPointer?) -> Void,
        usableSize: @escaping @convention(c) (UnsafeMutableRawPointer?) -> Int
    ) {
        self.allocate = allocate
        self.allocateZeroed = allocateZeroed
        self.deallocate = deallocate
        self.usableSize = usableSize
    }

    public static let system = TensorAllocator(
        allocate: { malloc($0) }, allocateZeroed: { calloc(1, $0) }, deallocate: { free($0) },
        usableSize: { _ in 0 })

    /// The allocator of every tensor made from now on. Set once, before the first tensor is made and before other
    /// threads run.
    nonisolated(unsafe) public static var shared = TensorAllocator.system
}

/// The raw memory of one tensor: the only place of this module that owns an unsafe pointer.
///
/// Blocks start at a multiple of 64 bytes, which every engine accepts without a copy.
struct TensorMemory: ~Copyable, @unchecked Sendable {
    static let alignment = 64
    /// Readable bytes after the last one: vector instructions of engines read beyond it, and ignore what is there.
    static let padding = 16

    private let base: UnsafeMutableRawPointer
    private let start: UnsafeMutableRawPointer
    private(set) var byteCount: Int
    private let blockSize: Int
    private let allocator: TensorAllocator

    /// Nil when there is no memory, or `byteCount` is beyond reason.
    init?(byteCount: Int, zeroed: Bool) {
        let allocator = TensorAllocator.shared
        let (padded, overflowed) = byteCount.addingReportingOverflow(2 * Self.alignment + Self.padding)
        guard byteCount >= 0, !overflowed else { return nil }
        let allocate = zeroed ? allocator.allocateZeroed : allocator.allocate
        // A multiple of the alignment comes aligned from size-class allocators: no padding is needed, as a rule.
        let rounded = (byteCount + Self.padding + Self.alignment - 1) & ~(Self.alignment - 1)
        guard var block = allocate(rounded) else { return nil }
        var size = rounded
        if !Self.isAligned(block) {
            allocator.deallocate(block)
            guard let larger = allocate(padded) else { return nil }
            block = larger
            size = padded
        }
        blockSize = size
        Self.inUse.wrappingAdd(size, ordering: .relaxed)
        base = block
        start = block.alignedUp(toMultipleOf: Self.alignment)
        self.byteCount = byteCount
        self.allocator = allocator
    }

    deinit {
        Self.inUse.wrappingSubtract(blockSize, ordering: .relaxed)
        allocator.deallocate(base)
    }

    /// The bytes of all blocks that there are.
    fileprivate static let inUse = Atomic(0)

    /// Leaves bytes at the end unused.
    mutating func shorten(to count: Int) {
        byteCount = min(byteCount, count)
    }

    private static func isAligned(_ pointer: UnsafeMutableRawPointer) -> Bool {
        UInt(bitPattern: pointer) & UInt(alignment - 1) == 0
    }

    var bytes: UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(start: start, count: byteCount)
    }

    /// What the block takes of the allocator's memory.
    var footprint: Int { max(byteCount, allocator.usableSize(base)) }
}

extension UnsafeMutableRawPointer {
    fileprivate func alignedUp(toMultipleOf alignment: Int) -> UnsafeMutableRawPointer {
        self + (-Int(bitPattern: self)) & (alignment - 1)
    }
}

/// The bytes of all tensors that there are: values of keys, inputs that wait, and what runs have made.
public var tensorBytesInUse: Int { TensorMemory.inUse.load(ordering: .relaxed) }
