import NIOCore
import NIOHPACK
import NIOHTTP2
import NIOPosix

/// A server on a free port of the loopback that does with each command what a closure says.
final class TestServer: Sendable {
    enum Action: Sendable {
        case reply(String)
        case replyAfter(TimeAmount, String)
        case ignore
        case close
    }

    private let channel: any Channel

    /// - Parameter behaviour: takes a RESP command.
    init(_ behaviour: @escaping @Sendable ([String]) -> Action) throws {
        channel = try Self.listen { pipeline in
            try pipeline.addHandler(CommandHandler(behaviour))
        }
    }

    /// - Parameter answer: takes the path and the message of a gRPC call; gives a message, or none, and a status.
    init(calls answer: @escaping @Sendable (String, String) -> (String?, Int)) throws {
        channel = try Self.listen { pipeline in
            try pipeline.addHandler(NIOHTTP2Handler(mode: .server))
            try pipeline.addHandler(CallHandler(answer))
        }
    }

    /// Answers each read with the same bytes.
    init(bytes: String, closes: Bool) throws {
        channel = try Self.listen { pipeline in
            try pipeline.addHandler(BytesHandler(bytes, closes: closes))
        }
    }

    var port: Int { channel.localAddress?.port ?? 0 }

    func stop() {
        try? channel.close().wait()
    }

    private static func listen(
        _ addHandlers: @escaping @Sendable (ChannelPipeline.SynchronousOperations) throws -> Void
    ) throws -> any Channel {
        try ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try addHandlers(channel.pipeline.syncOperations) }
            }
            .bind(host: "127.0.0.1", port: 0).wait()
    }
}

private final class CommandHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let behaviour: @Sendable ([String]) -> TestServer.Action
    private var received = ByteBuffer()

    init(_ behaviour: @escaping @Sendable ([String]) -> TestServer.Action) {
        self.behaviour = behaviour
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        received.writeImmutableBuffer(unwrapInboundIn(data))
        while let command = nextCommand() {
            switch behaviour(command) {
            case .reply(let text):
                reply(text, context)
            case .replyAfter(let time, let text):
                context.eventLoop.assumeIsolated().scheduleTask(in: time) { self.reply(text, context) }
            case .close:
                context.close(promise: nil)
            case .ignore:
                break
            }
        }
    }

    private func reply(_ text: String, _ context: ChannelHandlerContext) {
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: text)), promise: nil)
    }

    private func nextCommand() -> [String]? {
        var rest = received
        guard let count = number(in: &rest) else { return nil }
        var arguments: [String] = []
        for _ in 0..<count {
            guard let length = number(in: &rest), let text = rest.readString(length: length),
                rest.readString(length: 2) != nil
            else { return nil }
            arguments.append(text)
        }
        received = rest
        return arguments
    }

    /// The number of a line such as `*2` or `$5`.
    private func number(in buffer: inout ByteBuffer) -> Int? {
        guard let end = buffer.readableBytesView.firstIndex(of: UInt8(ascii: "\n")),
            let line = buffer.readString(length: end - buffer.readerIndex + 1)
        else { return nil }
        return Int(line.dropFirst().dropLast())
    }
}

private final class BytesHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let bytes: ByteBuffer
    private let closes: Bool

    init(_ bytes: String, closes: Bool) {
        self.bytes = ByteBuffer(string: bytes)
        self.closes = closes
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        context.writeAndFlush(wrapOutboundOut(bytes), promise: nil)
        if closes { context.close(promise: nil) }
    }
}

private final class CallHandler: ChannelInboundHandler {
    typealias InboundIn = HTTP2Frame
    typealias OutboundOut = HTTP2Frame

    private let answer: @Sendable (String, String) -> (String?, Int)
    private var paths: [HTTP2StreamID: String] = [:]
    private var messages: [HTTP2StreamID: ByteBuffer] = [:]

    init(_ answer: @escaping @Sendable (String, String) -> (String?, Int)) {
        self.answer = answer
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let frame = unwrapInboundIn(data)
        switch frame.payload {
        case .headers(let headers):
            paths[frame.streamID] = headers.headers.first(name: ":path")
            messages[frame.streamID] = ByteBuffer()
        case .data(let data):
            guard case .byteBuffer(let buffer) = data.data else { return }
            messages[frame.streamID]?.writeImmutableBuffer(buffer)
            if data.endStream { reply(on: frame.streamID, context) }
        default:
            break
        }
    }

    private func reply(on stream: HTTP2StreamID, _ context: ChannelHandlerContext) {
        let message = String(buffer: messages[stream] ?? ByteBuffer())
        let (reply, status) = answer(paths[stream] ?? "", String(message.dropFirst(5)))
        var trailers: HPACKHeaders = ["grpc-status": "\(status)", "grpc-message": "not%20here"]
        if let reply {
            write(.headers(.init(headers: [":status": "200", "content-type": "application/grpc"])), stream, context)
            var framed = ByteBuffer(bytes: [0])
            framed.writeInteger(UInt32(reply.utf8.count))
            framed.writeString(reply)
            // In two parts, as a large message comes.
            let first = framed.readSlice(length: 3)!
            write(.data(.init(data: .byteBuffer(first))), stream, context)
            write(.data(.init(data: .byteBuffer(framed))), stream, context)
        } else {
            trailers = [":status": "200", "grpc-status": "\(status)", "grpc-message": "not%20here"]
        }
        write(.headers(.init(headers: trailers, endStream: true)), stream, context)
        context.flush()
    }

    private func write(
        _ payload: HTTP2Frame.FramePayload, _ stream: HTTP2StreamID, _ context: ChannelHandlerContext
    ) {
        context.write(wrapOutboundOut(HTTP2Frame(streamID: stream, payload: payload)), promise: nil)
    }
}
