/// Watches the trees of a plan through a run.
struct ProcessWatch {
    /// What had been used since the window's start, at some time in it.
    struct Reading {
        var cpu: UInt64
        var residentBytes: Int
    }

    private(set) var trees: [ProcessTree]

    init(_ processes: [Plan.WatchedProcess]) throws {
        let table = ProcessTable()
        trees = try processes.map { try ProcessTree(name: $0.name, root: $0.pid, table: table) }
    }

    /// Starts counting at zero.
    mutating func restart() {
        for index in trees.indices { trees[index].restart() }
    }

    /// Looks for new processes. This reads all of /proc, so it is done rarely.
    mutating func discover() {
        guard !trees.isEmpty else { return }
        let table = ProcessTable()
        for index in trees.indices { trees[index].update(table) }
    }

    @discardableResult
    mutating func sample() -> Reading {
        for index in trees.indices { trees[index].sample() }
        return Reading(
            cpu: trees.reduce(0) { $0 + $1.cpu }, residentBytes: trees.reduce(0) { $0 + $1.residentBytes })
    }
}
