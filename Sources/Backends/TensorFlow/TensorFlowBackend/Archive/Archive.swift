internal import Inference

/// A SavedModel as one file: a tar, possibly compressed by gzip, or a zip.
enum ArchiveFormat {
    case tar, gzip, zip

    /// The format of a file that begins with `start`; nil for one that is no archive.
    init?(_ start: UnsafeRawBufferPointer) {
        if start.starts(with: [0x1F, 0x8B]) {
            self = .gzip
        } else if start.starts(with: [0x50, 0x4B, 3, 4]) || start.starts(with: [0x50, 0x4B, 5, 6]) {
            self = .zip
        } else if TarHeader.isHeader(start) {
            self = .tar
        } else {
            return nil
        }
    }
}

/// What an archive may grow to.
struct ArchiveLimits {
    /// Entries of any kind.
    var entries = 10_000
    /// Bytes of all files together.
    var bytes: Int

    private static let mostBytes = 4 << 30
    /// Weights hardly shrink; texts, and weights that are zero, do.
    private static let growth = 64
    private static let alwaysAllowed = 64 << 20

    /// - Parameter archive: bytes of the archive.
    init(archive: Int) {
        let (grown, overflow) = archive.multipliedReportingOverflow(by: Self.growth)
        bytes = overflow ? Self.mostBytes : min(Self.mostBytes, max(Self.alwaysAllowed, grown))
    }
}

extension InferenceError {
    static func archive(_ text: String) -> InferenceError {
        InferenceError("ERR SavedModel archive: \(text)")
    }

    static let archiveCutShort = InferenceError.archive("it is cut short")
    static let archiveDamaged = InferenceError.archive("it is damaged")
    static let archiveTooLarge = InferenceError.archive("it unpacks to too many bytes")
    static let archiveTooManyFiles = InferenceError.archive("it has too many entries")
}

/// What becomes of the entries of an archive.
protocol ArchiveSink: AnyObject {
    /// An entry is about to come. Returns whether its bytes are wanted.
    func begin(_ path: [UInt8], kind: ArchiveEntryKind, size: Int) throws(InferenceError) -> Bool
    /// The next bytes of the entry that began last.
    func append(_ bytes: UnsafeRawBufferPointer) throws(InferenceError)
    func end() throws(InferenceError)
}

enum ArchiveEntryKind {
    case file, folder
}

/// A source of bytes that are read once, from the first to the last.
protocol ArchiveByteStream: AnyObject {
    /// The next bytes, at most `limit` and at least one; none at the end. Usable until the next call.
    func next(_ limit: Int) throws(InferenceError) -> UnsafeRawBufferPointer
}

/// Bytes in memory.
final class ArchiveMemoryStream: ArchiveByteStream {
    private var rest: UnsafeRawBufferPointer

    init(_ bytes: UnsafeRawBufferPointer) {
        rest = bytes
    }

    func next(_ limit: Int) -> UnsafeRawBufferPointer {
        let piece = UnsafeRawBufferPointer(rebasing: rest.prefix(limit))
        rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(limit))
        return piece
    }
}
