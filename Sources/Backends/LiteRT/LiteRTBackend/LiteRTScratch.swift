internal import Glibc
internal import Tensors

/// Memory for an output whose size is not known before it is there.
///
/// Address space is taken for more than is likely to be needed; memory is only taken for what is written. What is written
/// beyond it meets pages that cannot be written: an end, but not a corruption.
final class LiteRTScratch: @unchecked Sendable {
    private static let startSize = 64 << 20
    private static let guardSize = 16 << 20
    /// Larger results give their memory back.
    private static let keptSize = 1 << 20

    let bytes: UnsafeMutableRawBufferPointer
    private let reserved: Int

    /// Nil when there is no address space left.
    init?(size: Int = startSize) {
        let reserved = size + Self.guardSize
        guard let start = mmap(nil, reserved, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0),
            start != MAP_FAILED
        else { return nil }
        guard mprotect(start, size, PROT_READ | PROT_WRITE) == 0 else {
            munmap(start, reserved)
            return nil
        }
        self.reserved = reserved
        bytes = UnsafeMutableRawBufferPointer(start: start, count: size)
    }

    deinit {
        munmap(bytes.baseAddress, reserved)
    }

    /// A larger one; nil when this is as large as a tensor may be.
    func grown() -> LiteRTScratch? {
        guard bytes.count < tensorSizeLimit else { return nil }
        return LiteRTScratch(size: bytes.count * 4)
    }

    /// Gives memory back after a result of so many bytes.
    func release(_ count: Int) {
        if count > Self.keptSize { madvise(bytes.baseAddress, min(count, bytes.count), MADV_DONTNEED) }
    }
}
