internal import RedisModuleKit
internal import Synchronization

/// What the scripts of a client's command have done so far beyond their outputs. Asked in clusters, where the keys that they
/// use may leave the node while they run, and where to leave a node means to be run again on another.
final class ScriptEffects: Sendable {
    /// Whether the server has carried out a command of a script: running that a second time would repeat it.
    private let hasRunCommands = Atomic(false)
    /// Whether a declared key was not this node's when the server refused a command of a script.
    private let hasMissedKey = Atomic(false)
    /// What the client says that the script will use; this node's when the command came.
    private let declaredKeys: [ServerString]

    /// Nil where slots do not move. Main thread only.
    convenience init?(_ context: CommandContext, declaredKeys: some Collection<Argument>) {
        guard context.isInCluster else { return nil }
        self.init(declaredKeys: declaredKeys.map { ServerString(holding: $0) })
    }

    private init(declaredKeys: [ServerString]) {
        self.declaredKeys = declaredKeys
    }

    /// For all scripts of a DAG, by whose keys clients are not sent to a node: only those count that are in their script's slot,
    /// which is here.
    convenience init?(_ context: CommandContext, ofGraph operations: [Arguments]) {
        guard context.isInCluster else { return nil }
        self.init(declaredKeys: operations.flatMap(Self.keysBesideScript))
    }

    private static func keysBesideScript(_ operation: Arguments) -> [ServerString] {
        guard operation[0]?.matches("AI.SCRIPTEXECUTE") == true, let script = operation[1] else { return [] }
        let slot = script.slot
        return ScriptCallClause.declaredKeys(operation).filter { $0.slot == slot }.map { ServerString(holding: $0) }
    }

    /// A command has been carried out. Any thread.
    func note() {
        hasRunCommands.store(true, ordering: .relaxed)
    }

    /// A command of a script has failed or been refused, which ends the script. Any thread that holds the server's lock.
    func noteFailure(_ server: LockedServer) {
        guard !hasRunCommands.load(ordering: .relaxed) else { return }
        if !declaredKeys.allSatisfy(server.serves) { hasMissedKey.store(true, ordering: .relaxed) }
    }

    /// For scripts that have failed: when nothing has been done yet and a declared key is not this node's any more, or was not
    /// when the script failed, that is why, and the client is to send its command again.
    func checkOwnershipAfterFailure(_ context: CommandContext) throws(CommandError) {
        guard !hasRunCommands.load(ordering: .relaxed) else { return }
        for key in declaredKeys { try context.checkOwnershipForScripts(of: key) }
        if hasMissedKey.load(ordering: .relaxed) { throw .slotIsMoving }
    }

    /// Makes of an error that sends the client elsewhere one that does not, when its scripts would do things twice.
    func final(_ redirection: CommandError) -> CommandError {
        hasRunCommands.load(ordering: .relaxed) ? .outputsHaveMoved : redirection
    }
}

// MARK: Texts

extension CommandError {
    fileprivate static let outputsHaveMoved = CommandError(
        "ERR outputs are not stored, their slot has left the node: commands of the script have been run")
}
