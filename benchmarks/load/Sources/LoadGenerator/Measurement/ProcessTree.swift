import Glibc

/// A process with all its descendants: what CPU time they use and what memory they hold.
///
/// Processes may come and go. One that is new counts from its start, one that has gone keeps what it had used when it was
/// last looked at. One whose parent has gone stays in the tree.
struct ProcessTree {
    private struct Member {
        var startTime: UInt64
        /// Its CPU time when the watch began; nanoseconds.
        var base: UInt64
        var cpu: UInt64
        var isAlive = true
    }

    let name: String
    let root: pid_t
    private var members: [pid_t: Member] = [:]
    /// What members that were replaced by others with the same id had used.
    private var usedByReplaced: UInt64 = 0
    private(set) var residentBytes = 0
    private(set) var peakResidentBytes = 0

    /// Begins the watch.
    /// - Throws: `RunError.unreachable` when there is no such process.
    init(name: String, root: pid_t, table: ProcessTable) throws {
        self.name = name
        self.root = root
        guard table.entries[root] != nil else {
            throw RunError.unreachable("there is no process \(root), which the plan names \"\(name)\"")
        }
        update(table)
        restart()
    }

    /// CPU time since the watch began; nanoseconds.
    var cpu: UInt64 {
        members.values.reduce(usedByReplaced) { $0 + ($1.cpu - $1.base) }
    }

    /// Begins the watch anew with the members that there are.
    mutating func restart() {
        sample()
        usedByReplaced = 0
        members = members.filter { $0.value.isAlive }
        for pid in members.keys { members[pid]!.base = members[pid]!.cpu }
        peakResidentBytes = residentBytes
    }

    /// Takes processes in that are new.
    mutating func update(_ table: ProcessTable) {
        var found: Set<pid_t> = []
        for pid in [root] + members.keys where table.entries[pid] != nil {
            found.formUnion(table.tree(from: pid))
        }
        for pid in found {
            guard let startTime = table.entries[pid]?.startTime else { continue }
            if let known = members[pid] {
                guard known.startTime != startTime else { continue }
                usedByReplaced += known.cpu - known.base
            }
            members[pid] = Member(startTime: startTime, base: 0, cpu: 0)
        }
    }

    /// Reads the CPU clocks and the memory of all members.
    mutating func sample() {
        residentBytes = 0
        for (pid, member) in members where member.isAlive {
            guard let cpu = Clock.cpu(of: pid) else {
                members[pid]!.isAlive = false
                continue
            }
            members[pid]!.cpu = max(cpu, member.cpu)
            residentBytes += Self.residentBytes(of: pid)
        }
        peakResidentBytes = max(peakResidentBytes, residentBytes)
    }

    private static func residentBytes(of pid: pid_t) -> Int {
        let fields = SmallFile.read("/proc/\(pid)/statm")?.split(separator: " ") ?? []
        guard fields.count > 1, let pages = Int(fields[1]) else { return 0 }
        return pages * Int(sysconf(Int32(_SC_PAGESIZE)))
    }
}
