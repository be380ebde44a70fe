internal import CRedisModule

/// What the module wants to be called for. The server's callbacks cannot carry a context, so it stands here; written
/// while the module is loaded, read by the main thread.
private enum Callbacks {
    nonisolated(unsafe) static var info: (InfoWriter) -> Void = { _ in }
    nonisolated(unsafe) static var cron: () -> Void = {}
    nonisolated(unsafe) static var roundBegin: () -> Void = {}
    nonisolated(unsafe) static var roundEnd: () -> Void = {}
    nonisolated(unsafe) static var shutdown: () -> Void = {}
}

extension ModuleContext {
    /// Has `write` produce the module's sections whenever a client asks for INFO. Returns false when refused.
    public func onInfo(_ write: @escaping (InfoWriter) -> Void) -> Bool {
        Callbacks.info = write
        return RedisModule_RegisterInfoFunc(raw) { info, isCrashReport in
            if let info = InfoWriter(info, isCrashReport: isCrashReport != 0) { Callbacks.info(info) }
        } == RM_OK
    }

    /// Has `body` called in every round of the server's cron (`hz` times a second).
    public func onCron(_ body: @escaping () -> Void) -> Bool {
        Callbacks.cron = body
        let event = RedisModuleEvent(id: UInt64(RM_EVENT_CRON_LOOP), dataver: 1)
        return RedisModule_SubscribeToServerEvent(raw, event) { _, _, _, _ in Callbacks.cron() } == RM_OK
    }

    /// Has `begin` called when the server has waited for events and is about to serve them, and `end` when it has and is about
    /// to wait for more. Some servers run commands in between: those that stood behind a blocking one in a pipeline.
    public func onRounds(begin: @escaping () -> Void, end: @escaping () -> Void) -> Bool {
        Callbacks.roundBegin = begin
        Callbacks.roundEnd = end
        let event = RedisModuleEvent(id: UInt64(RM_EVENT_EVENT_LOOP), dataver: 1)
        return RedisModule_SubscribeToServerEvent(raw, event) { _, _, subevent, _ in
            if subevent == RM_SUBEVENT_BEFORE_SLEEP { Callbacks.roundEnd() } else { Callbacks.roundBegin() }
        } == RM_OK
    }

    /// Has `body` called when the server is about to exit.
    public func onShutdown(_ body: @escaping () -> Void) -> Bool {
        Callbacks.shutdown = body
        let event = RedisModuleEvent(id: UInt64(RM_EVENT_SHUTDOWN), dataver: 1)
        return RedisModule_SubscribeToServerEvent(raw, event) { _, _, _, _ in Callbacks.shutdown() } == RM_OK
    }
}
