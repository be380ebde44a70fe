internal import RedisModuleKit

extension CommandContext {
    /// From here on handing over costs less than a hundredth of writing; writing a megabyte takes about half a millisecond.
    static let largeReplySize = 4 << 20

    /// Answers with `value`: in another thread when it is large, so that nobody else waits, unless the caller cannot wait either.
    /// `byteCount` says how large, or what takes as long to write.
    func reply(_ value: some ReplyEncodable & Sendable, byteCount: Int) -> Reply {
        byteCount >= Self.largeReplySize && allowsBlocking ? replyInBackground(value) : .encoded(value)
    }
}
