internal import RedisModuleKit

/// The categories by which access control lists name commands: the server's own, and five of the module's, one for each
/// command.
///
/// Servers before Redis 7.4 and Valkey 8 know none for commands of modules.
enum ACLCategories {
    static let own = ["ai_read", "ai_write", "ai_run", "ai_upload", "ai_admin"]

    private static let commands: [(categories: String, names: [String])] = [
        (
            "read slow ai_read",
            [
                "ai.tensorget", "ai.modelget", "ai.scriptget", "ai.info", "ai._modelscan", "ai._scriptscan",
            ]
        ),
        ("write slow ai_write", ["ai.tensorset", "ai.modeldel", "ai.scriptdel"]),
        (
            "write slow ai_run",
            ["ai.modelexecute", "ai.modelrun", "ai.scriptexecute", "ai.scriptrun", "ai.dagexecute", "ai.dagrun"]
        ),
        ("read slow ai_run", ["ai.dagexecute_ro", "ai.dagrun_ro"]),
        ("write slow ai_upload", ["ai.modelstore", "ai.modelset", "ai.scriptstore", "ai.scriptset"]),
        ("admin dangerous slow ai_admin", ["ai.config"]),
    ]

    /// To be called when the commands have been registered. False when the server refuses.
    static func register(_ module: ModuleContext) -> Bool {
        guard module.canAddACLCategories else { return true }
        guard own.allSatisfy(module.addACLCategory) else { return false }
        return commands.allSatisfy { categories, names in
            names.allSatisfy { module.setACLCategories(categories, of: $0) }
        }
    }
}
