internal import CRedisModule

extension CommandContext {
    /// Answers with `value`, written by another thread while the client waits: for what takes long to write. The client must
    /// be one that can be blocked.
    ///
    /// The reply is put together aside, and reaches the client without a copy.
    public func replyInBackground(_ value: some ReplyEncodable & Sendable) -> Reply {
        guard let executor = BackgroundRelease.executor else { return .encoded(value) }
        let operation = BackgroundReply()
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

/// A reply that is being written.
private final class BackgroundReply: BlockedOperation, @unchecked Sendable {
    /// What the other thread has written is the answer.
    override func finish(_ context: CommandContext) throws(CommandError) -> Reply { .later }
}
