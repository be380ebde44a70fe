internal import CRedisModule

extension CommandContext {
    /// Answers with `value`, written by another thread while the client waits: for what takes long to write. The client must
    /// be one that can be blocked.
    ///
    /// The reply is put together aside, and reaches the client without a copy.
    public func replyInBackground(_ value: some ReplyEncodable & Sendable) -> Reply {
        guard let executor = BackgroundReply.executor else { return .encoded(value) }
        let operation = ReplyBeingWritten()
        let reply = block(on: operation)
        // Made here: it looks at the client, who may leave at any moment.
        guard let context = operation.makeReplyContext() else {
            operation.complete()
            return reply
        }
        executor { [context = SendablePointer(context)] in
            value.encode(into: ReplyWriter(context: context.value))
            RedisModule_FreeThreadSafeContext(context.value)
            operation.complete()
        }
        return reply
    }
}

/// Replies that are written in another thread.
public enum BackgroundReply {
    /// Runs a job in a thread other than the main one. Set once, while the module is loaded; nil has replies written in place.
    nonisolated(unsafe) public static var executor: ((@escaping @Sendable () -> Void) -> Void)?
}

private final class ReplyBeingWritten: BlockedOperation, @unchecked Sendable {
    /// What the other thread has written is the answer.
    override func finish(_ context: CommandContext) throws(CommandError) -> Reply { .later }
}
