internal import Inference
internal import RedisModuleKit

/// What the load line allows and forbids beside the server's access control list.
struct AccessRules {
    /// From where something may be asked for.
    enum Origin { case nowhere, thisMachine, anywhere }

    /// Whether scripts act with the rights of those who call them, or with the server's.
    var scriptsActForCallers = true
    var allowsUploads = true
    /// The users who may store models and scripts; empty for all.
    var uploaders: Set<[UInt8]> = []
    /// The models and scripts that may be built, wherever they come from; nil for all.
    var allowedDigests: DigestList?
    /// From where AI.CONFIG LOADBACKEND may have a shared library opened, and BACKENDSPATH say where they are.
    var backendChangesFrom = Origin.thisMachine

    /// Set once, while the module is loaded; read by the main thread.
    nonisolated(unsafe) static var current = AccessRules()

    /// Applies one pair of the load line. Nil when the name is another's, false when the value is not acceptable.
    mutating func apply(_ name: String, _ value: Argument) -> Bool? {
        switch name {
        case "SCRIPTS_RUN_AS":
            scriptsActForCallers = value.matches("CALLER")
            return scriptsActForCallers || value.matches("SERVER")
        case "ALLOW_UPLOADS":
            allowsUploads = value.matches("YES")
            return allowsUploads || value.matches("NO")
        case "UPLOAD_USER":
            uploaders.insert(value.bytes)
            return true
        case "MODEL_DIGESTS":
            allowedDigests = DigestList(file: value.text)
            return allowedDigests != nil
        case "ALLOW_LOADBACKEND":
            backendChangesFrom = value.matches("YES") ? .anywhere : value.matches("LOCAL") ? .thisMachine : .nowhere
            return backendChangesFrom != .nowhere || value.matches("NO")
        default:
            return nil
        }
    }
}

extension CommandContext {
    /// Refuses to store a model or script for those who may not. What the primary sends and what a file says is stored.
    ///
    /// - Parameter command: in lower case.
    func checkUpload(_ command: String) throws(CommandError) {
        let rules = AccessRules.current
        if rules.allowsUploads && rules.uploaders.isEmpty || isObeyed { return }
        let caller = caller
        if rules.allowsUploads, case .user(let name) = caller, rules.uploaders.contains(name) { return }
        permissions.log(denied: Array(command.utf8), .command)
        throw rules.allowsUploads ? .uploadNotPermitted : .uploadsSwitchedOff
    }

    /// Refuses to open a shared library, or to say where they are, for those who may not.
    func checkBackendChange() throws(CommandError) {
        switch AccessRules.current.backendChangesFrom {
        case .anywhere: return
        case .thisMachine where isLocalConnection: return
        case .thisMachine: throw .backendChangeNeedsLocalConnection
        case .nowhere: throw .backendChangeSwitchedOff
        }
    }

    /// On whose behalf a script acts that the command runs.
    var scriptCaller: Caller { AccessRules.current.scriptsActForCallers ? caller : .server }
}

// MARK: Texts

extension CommandError {
    static let uploadNotPermitted = CommandError(
        "NOPERM only the users that UPLOAD_USER names may store models and scripts")
    static let uploadsSwitchedOff = CommandError("NOPERM ALLOW_UPLOADS is NO: no models and scripts can be stored")
    static let backendChangeNeedsLocalConnection = CommandError(
        "ERR LOADBACKEND and BACKENDSPATH are for connections from the server's machine, unless ALLOW_LOADBACKEND is YES"
    )
    static let backendChangeSwitchedOff = CommandError(
        "ERR LOADBACKEND and BACKENDSPATH are switched off: ALLOW_LOADBACKEND is NO")
}
