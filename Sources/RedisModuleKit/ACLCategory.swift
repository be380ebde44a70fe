internal import CRedisModule

extension ModuleContext {
    /// Whether the server lets modules have categories of their own in access control lists.
    public var canAddACLCategories: Bool {
        RedisModule_Has_AddACLCategory() && RedisModule_Has_SetCommandACLCategories()
    }

    /// Adds a category. False when the server refuses.
    public func addACLCategory(_ name: String) -> Bool {
        RedisModule_AddACLCategory(raw, name) == RM_OK
    }

    /// Puts a registered command into categories, given as names with blanks between them. False when the server refuses.
    public func setACLCategories(_ categories: String, of command: String) -> Bool {
        guard let command = RedisModule_GetCommand(raw, command) else { return false }
        return RedisModule_SetCommandACLCategories(command, categories) == RM_OK
    }
}
