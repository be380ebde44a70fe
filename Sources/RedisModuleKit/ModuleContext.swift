internal import CRedisModule

/// The server while it loads the module.
public struct ModuleContext {
    let raw: OpaquePointer

    /// Looks the module API up and introduces the module. Nil, with a line on standard error, when the server lacks a
    /// function the module cannot do without; nil when another module has the name.
    public init?(_ raw: OpaquePointer?, name: String, version: Int32) {
        guard let raw else { return nil }
        if let missing = CRedisModule_Resolve(raw) {
            ServerLog.standardError("module \(name): the server has no RedisModule_\(String(cString: missing))")
            return nil
        }
        self.raw = raw
        MainThread.adoptCurrent()
        guard RedisModule_IsModuleNameBusy(name) == 0 else { return nil }
        RedisModule_SetModuleAttribs(raw, name, version, RM_API_VERSION)
        RedisModule_SetModuleOptions(raw, RM_OPTION_HANDLE_IO_ERRORS)
    }
}
