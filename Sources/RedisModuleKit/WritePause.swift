internal import CRedisModule
internal import Synchronization

/// The times in which nothing may be written: CLIENT PAUSE, a failover that somebody asked for, and the end of a server that
/// waits for its replicas.
///
/// The server keeps the write commands of clients back by itself. It cannot know what a blocked command will write when it is
/// answered, and ends the process when something reaches the replicas or the append-only file in such a time. Operations that
/// change keys are therefore kept here until it is over. They are no more than had begun before: what comes later does not
/// get past the server.
public enum WritePause {
    private struct Kept: Sendable {
        var isActive = false
        var operations: [BlockedOperation] = []
    }

    private static let kept = Mutex(Kept())
    /// What `kept` says, for those that are in a hurry.
    private static let isActive = Atomic(false)

    /// Whether nothing may be written at this moment. Main thread, or under the server's lock.
    static var isOn: Bool { RedisModule_AvoidReplicaTraffic() != 0 }

    /// Looks whether a pause has begun or is over; operations that were kept go on in the order in which they were completed.
    /// To be called in every round of the server's events, on the main thread.
    public static func update() {
        let isOn = isOn
        guard isOn != isActive.load(ordering: .relaxed) else { return }
        let released = kept.withLock { kept -> [BlockedOperation] in
            kept.isActive = isOn
            isActive.store(isOn, ordering: .relaxed)
            guard !isOn else { return [] }
            defer { kept.operations = [] }
            return kept.operations
        }
        for operation in released { operation.unblock() }
    }

    /// Keeps an operation that is complete until the pause is over; false when there is none. Any thread.
    ///
    /// The main thread may know of a pause a moment earlier than this: ``CommandContext/isWritingPaused`` has the last word.
    static func keep(_ operation: BlockedOperation) -> Bool {
        guard isActive.load(ordering: .relaxed) else { return false }
        return kept.withLock { kept in
            guard kept.isActive else { return false }
            kept.operations.append(operation)
            return true
        }
    }
}

extension CommandContext {
    /// Whether the server is in a time in which nothing may be written; a client's own write command does not run then.
    public var isWritingPaused: Bool { WritePause.isOn }
}

// MARK: Texts

extension CommandError {
    public static let writingIsPaused = CommandError("TRYAGAIN Writing has been paused: nothing was stored")
}
