internal import BackendSupport
internal import CTensorFlow
internal import Inference

/// The system's zlib, opened when the first compressed archive comes.
struct Zlib: Sendable {
    fileprivate let start: CZlibInflateInit
    fileprivate let inflate: CZlibInflate
    fileprivate let finish: CZlibInflateEnd

    private static let opened = Result { () throws(InferenceError) in try Zlib(path: "libz.so.1") }

    static func shared() throws(InferenceError) -> Zlib {
        guard let zlib = try? opened.get() else {
            throw .archive("it is compressed, and this machine has no libz.so.1; use a plain tar")
        }
        return zlib
    }

    private init(path: String) throws(InferenceError) {
        let library = try SharedLibrary(path: path)
        guard let start = try library.function("inflateInit2_", as: CZlibInflateInit?.self),
            let inflate = try library.function("inflate", as: CZlibInflate?.self),
            let finish = try library.function("inflateEnd", as: CZlibInflateEnd?.self)
        else { throw .archiveDamaged }
        self.start = start
        self.inflate = inflate
        self.finish = finish
    }
}

/// Decompresses bytes in memory as they are read.
final class InflateStream: ArchiveByteStream {
    enum Format {
        /// With header and checksum.
        case gzip
        /// As it stands in zip files.
        case raw

        fileprivate var windowBits: Int32 { self == .gzip ? 15 + 16 : -15 }
    }

    private let zlib: Zlib
    private let format: Format
    private let state: UnsafeMutablePointer<CZlibStream>
    private var rest: UnsafeRawBufferPointer
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 * 1024, alignment: 16)
    private var isRunning = false

    init(_ bytes: UnsafeRawBufferPointer, _ format: Format) throws(InferenceError) {
        zlib = try Zlib.shared()
        self.format = format
        rest = bytes
        state = .allocate(capacity: 1)
        state.initialize(to: CZlibStream())
        try open()
    }

    deinit {
        close()
        state.deallocate()
        buffer.deallocate()
    }

    private func open() throws(InferenceError) {
        state.pointee = CZlibStream()
        let size = Int32(MemoryLayout<CZlibStream>.size)
        guard zlib.start(state, format.windowBits, "1", size) == CZLIB_OK else { throw .archiveDamaged }
        isRunning = true
    }

    private func close() {
        if isRunning { _ = zlib.finish(state) }
        isRunning = false
    }

    func next(_ limit: Int) throws(InferenceError) -> UnsafeRawBufferPointer {
        let wanted = min(limit, buffer.count)
        while isRunning, wanted > 0 {
            let input = UnsafeRawBufferPointer(rebasing: rest.prefix(1 << 30))
            state.pointee.next_in = input.baseAddress?.assumingMemoryBound(to: UInt8.self)
            state.pointee.available_in = UInt32(input.count)
            state.pointee.next_out = buffer.baseAddress?.assumingMemoryBound(to: UInt8.self)
            state.pointee.available_out = UInt32(wanted)
            let result = zlib.inflate(state, 0)
            let used = input.count - Int(state.pointee.available_in)
            let made = wanted - Int(state.pointee.available_out)
            rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(used))
            switch result {
            case CZLIB_STREAM_END: try finishMember()
            case CZLIB_OK where used > 0 || made > 0: break
            default: throw rest.isEmpty ? .archiveCutShort : .archiveDamaged
            }
            if made > 0 { return UnsafeRawBufferPointer(rebasing: buffer[..<made]) }
        }
        return UnsafeRawBufferPointer(start: nil, count: 0)
    }

    /// A gzip file may consist of several, one after the other. What else follows means nothing.
    private func finishMember() throws(InferenceError) {
        close()
        if format == .gzip, rest.starts(with: [0x1F, 0x8B]) { try open() }
    }
}
