internal import Glibc
internal import Inference

extension InferenceError {
    /// Of the last call that failed.
    static var folderFailed: InferenceError {
        .archive("it cannot be unpacked on the server: \(String(cString: strerror(errno)))")
    }
}

/// A folder for temporary files that goes when the object does, with everything in it.
///
/// The process may be killed at any time (that is what trying a model out elsewhere is for), so each new folder takes the
/// opportunity to remove what others left. A folder in use is locked; the lock goes with its process.
final class PrivateFolder {
    let path: String
    private let handle: Int32

    static let prefix = "redisai-savedmodel-"
    /// Seconds after which a folder without a lock is not one that somebody is just making.
    static let settledAfter = 60
    private static let depthLimit = 64

    /// Makes a folder in `$TMPDIR`, or in `/tmp`, that nobody but this process's user may enter.
    init() throws(InferenceError) {
        let parent = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
        Self.removeAbandoned(in: parent)
        var template = Array("\(parent)/\(Self.prefix)XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw .folderFailed }
        path = template.withUnsafeBufferPointer { $0.baseAddress.map { String(cString: $0) } ?? "" }
        handle = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard handle >= 0, flock(handle, LOCK_SH | LOCK_NB) == 0 else { throw .folderFailed }
    }

    /// The folder under a name that later folders have again: TensorFlow keeps figures of every path that it has ever
    /// loaded from, some kilobytes each. Valid while this object lives.
    var recurringPath: String {
        let name = "/proc/self/fd/\(handle)"
        return access(name, X_OK) == 0 ? name : path
    }

    deinit {
        Self.removeTree(path, depth: 0)
        if handle >= 0 { close(handle) }
    }

    /// Opens a new file for writing.
    func create(_ name: String, _ file: inout Int32) throws(InferenceError) {
        file = open("\(path)/\(name)", O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw .folderFailed }
    }

    func makeFolder(_ name: String) throws(InferenceError) {
        guard mkdir("\(path)/\(name)", 0o700) == 0 || errno == EEXIST else { throw .folderFailed }
    }

    /// Renames a file; the new name must be free.
    ///
    /// - Returns: its size in bytes.
    func move(_ name: String, to newName: String) throws(InferenceError) -> Int {
        var status = stat()
        guard stat("\(path)/\(name)", &status) == 0,
            link("\(path)/\(name)", "\(path)/\(newName)") == 0, unlink("\(path)/\(name)") == 0
        else { throw .folderFailed }
        return Int(status.st_size)
    }

    // MARK: Removing

    private static func forEachName(in folder: String, _ body: (String) -> Void) {
        guard let listing = opendir(folder) else { return }
        defer { closedir(listing) }
        while let entry = readdir(listing) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { body(name) }
        }
    }

    private static func removeTree(_ path: String, depth: Int) {
        guard depth < depthLimit, unlink(path) != 0 else { return }
        forEachName(in: path) { removeTree("\(path)/\($0)", depth: depth + 1) }
        rmdir(path)
    }

    /// - Parameter settledAfter: seconds since a folder's last change.
    static func removeAbandoned(in parent: String, settledAfter: Int = settledAfter) {
        forEachName(in: parent) { name in
            if name.hasPrefix(prefix) { removeIfAbandoned("\(parent)/\(name)", settledAfter) }
        }
    }

    private static func removeIfAbandoned(_ path: String, _ settledAfter: Int) {
        let handle = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
        guard handle >= 0 else { return }
        defer { close(handle) }
        var status = stat()
        guard fstat(handle, &status) == 0, status.st_uid == geteuid(),
            time(nil) - status.st_ctim.tv_sec > settledAfter, flock(handle, LOCK_EX | LOCK_NB) == 0
        else { return }
        removeTree(path, depth: 0)
    }
}
