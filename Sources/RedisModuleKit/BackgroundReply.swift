internal import CRedisModule

/// Replies, or parts of them, that another thread writes while their client waits: for what takes long to write.
///
/// They are put together aside, and reach the client without a copy.
public enum BackgroundReply {
    /// Runs a job in a thread other than the main one. Set once, while the module is loaded; nil has replies written by the
    /// main thread.
    nonisolated(unsafe) public static var executor: ((@escaping @Sendable () -> Void) -> Void)?
}

extension CommandContext {
    /// Answers with `value`, written by another thread. The client must be one that can be blocked.
    public func replyInBackground(_ value: some ReplyEncodable & Sendable) -> Reply {
        let operation = ReplyBeingWritten()
        let reply = block(on: operation)
        operation.complete(writing: value)
        return reply
    }

    /// Adds an error to what another thread has written of the reply of a blocked client, which is being answered.
    public func appendToWrittenReply(_ error: CommandError) {
        guard let client = RedisModule_GetBlockedClientHandle(raw),
            let context = RedisModule_GetThreadSafeContext(client)
        else { return }
        ReplyWriter(context: context).error(error)
        RedisModule_FreeThreadSafeContext(context)
    }
}

extension BlockedOperation {
    /// As ``complete()``, once another thread has written `value`, which follows what ``finish(_:)`` returns. Any thread.
    ///
    /// ``finish(_:)`` must not throw then: half of the answer is there.
    public final func complete(writing value: some ReplyEncodable & Sendable) {
        // The context is made by the main thread: that looks at the client, who may leave at any moment.
        MainThread.run { [self] in
            guard let context = makeReplyContext() else { return complete() }
            let write = { @Sendable [context = SendablePointer(context)] in
                value.encode(into: ReplyWriter(context: context.value))
                RedisModule_FreeThreadSafeContext(context.value)
                self.complete()
            }
            if let executor = BackgroundReply.executor { executor(write) } else { write() }
        }
    }
}

/// A reply that consists of nothing else.
private final class ReplyBeingWritten: BlockedOperation, @unchecked Sendable {
    override func finish(_ context: CommandContext) throws(CommandError) -> Reply { .later }
}
