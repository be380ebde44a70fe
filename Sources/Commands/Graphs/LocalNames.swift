internal import RedisModuleKit

/// The names of tensors within one DAG command, and the slots of the plan they stand for at this point of it.
struct LocalNames {
    /// Few names are found faster by looking at all of them.
    private static let listLimit = 16

    private var list: [(name: Argument, slot: Int)] = []
    /// In use once there are too many names for the list.
    private var table: [[UInt8]: Int] = [:]

    /// The slot that `name` stands for; nil when it stands for none.
    subscript(name: Argument) -> Int? {
        if !table.isEmpty { return table[name.bytes] }
        return list.last { $0.name.hasSameBytes(as: name) }?.slot
    }

    /// Forgets all names. Memory for a few stays.
    mutating func removeAll() {
        list.removeAll(keepingCapacity: true)
        if !table.isEmpty { table = [:] }
    }

    /// Lets `name` stand for `slot` from here on.
    mutating func define(_ name: Argument, _ slot: Int) {
        if table.isEmpty && list.count < Self.listLimit {
            list.append((name, slot))
            return
        }
        if table.isEmpty { for (name, slot) in list { table[name.bytes] = slot } }
        table[name.bytes] = slot
    }
}
