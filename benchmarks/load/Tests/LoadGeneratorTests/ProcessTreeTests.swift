import Glibc
import Testing

@testable import LoadGenerator

@Suite struct ProcessTreeTests {
    @Test func namesMayHoldBrackets() {
        let stat = "42 (a) b (c) S 7 " + Array(repeating: "1", count: 17).joined(separator: " ") + " 12345 99 98"
        #expect(ProcessTable.Entry(stat: stat) == ProcessTable.Entry(parent: 7, startTime: 12345))
        #expect(ProcessTable.Entry(stat: "42 (x) S") == nil)
        #expect(ProcessTable.Entry(stat: "") == nil)
    }

    @Test func descendants() {
        let parents: [pid_t: pid_t] = [1: 0, 2: 1, 3: 2, 4: 2, 5: 4, 6: 1]
        let table = ProcessTable(entries: parents.mapValues { ProcessTable.Entry(parent: $0, startTime: 1) })
        #expect(table.tree(from: 2) == [2, 3, 4, 5])
        #expect(table.tree(from: 6) == [6])
        #expect(table.tree(from: 99).isEmpty)
    }

    @Test func childrenCountAlsoAfterTheyHaveGone() throws {
        var tree = try ProcessTree(name: "test", root: getpid(), table: ProcessTable())
        let before = tree.cpu
        let child = try spawn(["/bin/sh", "-c", "while :; do :; done"])
        Clock.sleep(until: Clock.now() + Clock.second / 5)
        tree.update(ProcessTable())
        tree.sample()
        let used = try #require(Clock.cpu(of: child))
        kill(child, SIGKILL)
        waitpid(child, nil, 0)
        let alive = tree.cpu
        #expect(alive - before >= used / 2)
        tree.update(ProcessTable())
        tree.sample()
        #expect(tree.cpu >= alive)
        #expect(tree.residentBytes > 1 << 20)
    }

    @Test func processesThatAreNotThere() {
        #expect(throws: RunError.unreachable("there is no process 4194999, which the plan names \"x\"")) {
            try ProcessTree(name: "x", root: 4_194_999, table: ProcessTable())
        }
    }

    private func spawn(_ arguments: [String]) throws -> pid_t {
        var pid = pid_t()
        var strings = arguments.map { strdup($0) } + [nil]
        defer { for string in strings { free(string) } }
        try #require(posix_spawn(&pid, arguments[0], nil, nil, &strings, nil) == 0)
        return pid
    }
}
