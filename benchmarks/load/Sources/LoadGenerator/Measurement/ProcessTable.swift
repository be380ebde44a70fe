import Glibc

/// The processes of the machine, as /proc tells.
struct ProcessTable {
    /// What of /proc/PID/stat matters here.
    struct Entry: Equatable {
        var parent: pid_t
        /// Clock ticks since the machine started: tells two processes with the same id apart.
        var startTime: UInt64
    }

    private(set) var entries: [pid_t: Entry] = [:]

    init(entries: [pid_t: Entry]) {
        self.entries = entries
    }

    /// Looks which processes there are now.
    init() {
        guard let folder = opendir("/proc") else { return }
        defer { closedir(folder) }
        while let item = readdir(folder) {
            let name = withUnsafePointer(to: &item.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            guard let pid = pid_t(name), let stat = SmallFile.read("/proc/\(pid)/stat") else { continue }
            entries[pid] = Entry(stat: stat)
        }
    }

    /// `root` and all its descendants.
    func tree(from root: pid_t) -> Set<pid_t> {
        guard entries[root] != nil else { return [] }
        let children = Dictionary(grouping: entries.keys) { entries[$0]?.parent ?? 0 }
        var tree: Set<pid_t> = [root]
        var unvisited = [root]
        while let pid = unvisited.popLast() {
            for child in children[pid] ?? [] where tree.insert(child).inserted {
                unvisited.append(child)
            }
        }
        return tree
    }
}

extension ProcessTable.Entry {
    /// - Parameter stat: the line of /proc/PID/stat. The name in it may hold spaces and brackets.
    init?(stat: String) {
        guard let end = stat.lastIndex(of: ")") else { return nil }
        let fields = stat[stat.index(after: end)...].split(separator: " ")
        // The state is field 3 of the manual and 0 here.
        guard fields.count > 19, let parent = pid_t(fields[1]), let startTime = UInt64(fields[19]) else { return nil }
        self.init(parent: parent, startTime: startTime)
    }
}

/// Files of /proc, which are read at once.
enum SmallFile {
    static func read(_ path: String) -> String? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        return withUnsafeTemporaryAllocation(byteCount: 4096, alignment: 1) { buffer in
            let count = Glibc.read(descriptor, buffer.baseAddress!, buffer.count)
            return count > 0 ? String(decoding: buffer[..<count], as: UTF8.self) : nil
        }
    }
}
