internal import CRedisModule

/// Writes the module's part of INFO: `# <module>_<section>` and `<module>_<field>:<value>` lines.
public struct InfoWriter {
    private let raw: OpaquePointer
    /// The server is crashing and writes its last report: locks must not be taken, their holders may never run again.
    public let isCrashReport: Bool

    init?(_ raw: OpaquePointer?, isCrashReport: Bool) {
        guard let raw else { return nil }
        self.raw = raw
        self.isCrashReport = isCrashReport
    }

    /// Opens a section; false when the client did not ask for it.
    public func section(_ name: String) -> Bool {
        RedisModule_InfoAddSection(raw, name) == RM_OK
    }

    public func field(_ name: String, _ value: String) {
        _ = RedisModule_InfoAddFieldCString(raw, name, value)
    }

    public func field(_ name: String, _ value: Int) {
        _ = RedisModule_InfoAddFieldLongLong(raw, name, Int64(value))
    }
}
