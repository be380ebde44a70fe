internal import CRedisModule

/// A command that goes on while its client waits: started on the main thread, completed on any thread, answered on
/// the main thread.
///
/// Subclasses carry what the operation needs. When the client leaves in the meantime, ``finish(_:)`` is not called.
open class BlockedOperation: @unchecked Sendable {
    private var client: BlockedClient?

    public init() {}

    /// Builds the answer. Main thread, at most once.
    open func finish(_ context: CommandContext) throws(CommandError) -> Reply {
        .null
    }

    /// Whether ``clientDidLeave()`` is wanted: for long work that nobody else needs.
    open var isCancelledByDisconnect: Bool { false }

    /// The client has gone; the operation may let go of everything, itself included. Main thread.
    open func clientDidLeave() {}

    /// Whether ``finish(_:)`` may change keys: it is put off while nothing may be written.
    open var changesKeys: Bool { false }

    /// Lets the main thread answer. Any thread; the operation must not be touched by its caller afterwards.
    public final func complete() {
        if changesKeys, WritePause.keep(self) { return }
        unblock()
    }

    final func unblock() {
        client.take()?.unblock(with: self)
    }

    /// A context whose replies become a part of the answer: they follow what ``finish(_:)`` returns, and may be written by any
    /// thread until ``complete()``. To be freed by the caller. Main thread. Nil when there is no client to answer.
    final func makeReplyContext() -> OpaquePointer? {
        client?.makeReplyContext()
    }

    /// Blocks the client of `context` until ``complete()``. The time until then is reported to SLOWLOG.
    fileprivate func block(_ context: CommandContext) {
        client = BlockedClient(context, reportingDisconnectTo: isCancelledByDisconnect ? self : nil)
    }
}

extension CommandContext {
    /// Blocks the calling client: `operation` will answer it. Start the work after this call, not before.
    public func block(on operation: BlockedOperation) -> Reply {
        operation.block(self)
        return .later
    }
}

/// The server's handle of a blocked client. Consuming it is the only way to answer, so that an answer is given once.
struct BlockedClient: ~Copyable, @unchecked Sendable {
    private let raw: OpaquePointer?

    init(_ context: CommandContext, reportingDisconnectTo operation: BlockedOperation?) {
        raw = RedisModule_BlockClient(context.raw, Self.reply, nil, Self.release, 0)
        if let raw, let operation {
            Self.watched[raw] = operation
            RedisModule_SetDisconnectCallback(raw, Self.disconnect)
        }
        _ = RedisModule_BlockedClientMeasureTimeStart(raw)
    }

    /// Who wants to know that a client has gone. Main thread only; an entry goes with its client or its answer. No weak
    /// references: they would make every reference count of the operation slow.
    nonisolated(unsafe) private static var watched: [OpaquePointer: BlockedOperation] = [:]

    private static let disconnect: @convention(c) (OpaquePointer?, OpaquePointer?) -> Void = { _, raw in
        guard let raw, let operation = watched.removeValue(forKey: raw) else { return }
        operation.clientDidLeave()
    }

    borrowing func makeReplyContext() -> OpaquePointer? {
        RedisModule_GetThreadSafeContext(raw)
    }

    consuming func unblock(with operation: BlockedOperation) {
        _ = RedisModule_BlockedClientMeasureTimeEnd(raw)
        // Balanced by `release`, which the server calls even when the client has gone.
        _ = RedisModule_UnblockClient(raw, Unmanaged.passRetained(operation).toOpaque())
        discard self
    }

    deinit {
        // An operation that was dropped: its client must not wait for ever.
        _ = RedisModule_UnblockClient(raw, nil)
    }

    private static let reply: @convention(c) (OpaquePointer?, UnsafeMutablePointer<OpaquePointer?>?, Int32) -> Int32 = {
        rawContext, _, _ in
        guard let rawContext else { return RM_ERR }
        if !watched.isEmpty, let raw = RedisModule_GetBlockedClientHandle(rawContext) { watched[raw] = nil }
        let writer = ReplyWriter(context: rawContext)
        guard let pointer = RedisModule_GetBlockedClientPrivateData(rawContext) else {
            writer.error(CommandError("ERR Generic error"))
            return RM_OK
        }
        let operation = Unmanaged<BlockedOperation>.fromOpaque(pointer).takeUnretainedValue()
        do throws(CommandError) {
            writer.write(try operation.finish(CommandContext(raw: rawContext)))
        } catch {
            writer.error(error)
        }
        return RM_OK
    }

    private static let release: @convention(c) (OpaquePointer?, UnsafeMutableRawPointer?) -> Void = { _, pointer in
        guard let pointer else { return }
        Unmanaged<BlockedOperation>.fromOpaque(pointer).release()
    }
}
