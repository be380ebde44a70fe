import DequeModule
import NIOCore

/// A connection of a protocol whose replies come in the order of the messages: RESP and HTTP/1.1.
///
/// It is the only handler in its channel's pipeline: bytes in, bytes out.
final class StreamLink<Parser: ReplyParser>: Link, ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// A message under way.
    private struct Awaited {
        var slot: Int
        var replies: Int
        var isCaptured: Bool
        var isSampled: Bool
        var failure: String?
    }

    let target: PreparedTarget
    let connection: Int
    private unowned let owner: any LinkOwner
    private var context: ChannelHandlerContext?
    private var parser = Parser()
    private var awaited = Deque<Awaited>()
    private var closeReason: String?
    private(set) var isUp = false

    init(to target: PreparedTarget, connection: Int, owner: any LinkOwner) {
        self.target = target
        self.connection = connection
        self.owner = owner
    }

    var oldestWaiting: Int? { awaited.first?.slot }

    func addHandlers(to pipeline: ChannelPipeline.SynchronousOperations) throws {
        try pipeline.addHandler(self)
    }

    func send(_ step: PreparedStep, payload: ByteBuffer, slot: Int, isSampled: Bool) {
        awaited.append(
            Awaited(slot: slot, replies: step.replies, isCaptured: step.feeds != nil, isSampled: isSampled))
        context?.write(wrapOutboundOut(payload), promise: nil)
    }

    func flush() {
        context?.flush()
    }

    func close(because reason: String) {
        isUp = false
        closeReason = closeReason ?? reason
        context?.close(promise: nil)
    }

    func channelActive(context: ChannelHandlerContext) {
        self.context = context
        parser = Parser()
        closeReason = nil
        isUp = true
        owner.linkIsUp(self)
    }

    func channelInactive(context: ChannelHandlerContext) {
        isUp = false
        self.context = nil
        if parser.isCompleteAtEnd, let first = awaited.popFirst() {
            owner.replied(slot: first.slot, failure: first.failure ?? parser.failure, at: Clock.now())
        }
        let lost = awaited.map(\.slot)
        awaited.removeAll()
        owner.linkIsDown(self, because: closeReason, lost: lost)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        close(because: describe(error))
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let now = Clock.now()
        let buffer = unwrapInboundIn(data)
        buffer.withUnsafeReadableBytes { bytes in
            do throws(MalformedReply) {
                try read(bytes, at: now)
            } catch {
                close(because: error.text)
            }
        }
        owner.readEnded(at: now)
    }

    private func read(_ bytes: UnsafeRawBufferPointer, at now: UInt64) throws(MalformedReply) {
        var rest = bytes
        // What is sent from here on cannot have been answered yet.
        var answerable = awaited.count
        while !rest.isEmpty && isUp {
            guard answerable > 0, let first = awaited.first else {
                throw MalformedReply("\(rest.count) bytes that nothing asked for")
            }
            let piece = try parser.next(in: rest)
            if first.isCaptured && !piece.payload.isEmpty {
                owner.capture(UnsafeRawBufferPointer(rebasing: rest[piece.payload]), slot: first.slot)
            }
            if first.isSampled {
                let range = Parser.repliesIncludeFraming ? 0..<piece.consumed : piece.payload
                owner.sample(UnsafeRawBufferPointer(rebasing: rest[range]), slot: first.slot)
            }
            rest = UnsafeRawBufferPointer(rebasing: rest[piece.consumed...])
            if piece.isComplete && completeReply(at: now) { answerable -= 1 }
        }
    }

    /// - Returns: whether the message has all its replies.
    private func completeReply(at now: UInt64) -> Bool {
        if awaited[0].replies > 1 {
            awaited[0].replies -= 1
            awaited[0].failure = awaited[0].failure ?? parser.failure
            return false
        }
        let ended = awaited.removeFirst()
        if parser.endsConnection {
            isUp = false
            context?.close(promise: nil)
        }
        owner.replied(slot: ended.slot, failure: ended.failure ?? parser.failure, at: now)
        return true
    }
}
