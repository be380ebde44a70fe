import NIOCore
import NIOHPACK
import NIOHTTP2

/// A connection of gRPC: HTTP/2 with prior knowledge, a stream for each call.
///
/// It works on the connection's frames. The usual channel for every stream would cost more than the whole call.
final class GRPCLink: Link, ChannelInboundHandler {
    typealias InboundIn = HTTP2Frame
    typealias OutboundOut = HTTP2Frame

    /// A call under way.
    private struct Call {
        var slot: Int
        var isSampled: Bool
        /// Bytes of the reply so far.
        var received = 0
    }

    private static let largestWindow = Int(Int32.max)
    private static let initialConnectionWindow = 65_535

    let target: PreparedTarget
    let connection: Int
    private unowned let owner: any LinkOwner
    private var context: ChannelHandlerContext?
    private var calls: [HTTP2StreamID: Call] = [:]
    private var nextStream: HTTP2StreamID = 1
    /// Bytes received since the server was last told that it may send more.
    private var consumedWindow = 0
    private var closeReason: String?
    private(set) var isUp = false

    init(to target: PreparedTarget, connection: Int, owner: any LinkOwner) {
        self.target = target
        self.connection = connection
        self.owner = owner
    }

    var oldestWaiting: Int? { calls.min { $0.key < $1.key }?.value.slot }

    func addHandlers(to pipeline: ChannelPipeline.SynchronousOperations) throws {
        var configuration = NIOHTTP2Handler.ConnectionConfiguration()
        configuration.initialSettings = [
            HTTP2Setting(parameter: .enablePush, value: 0),
            HTTP2Setting(parameter: .initialWindowSize, value: Self.largestWindow),
            HTTP2Setting(parameter: .maxHeaderListSize, value: 64 << 10),
        ]
        configuration.headerBlockValidation = .disabled
        configuration.contentLengthValidation = .disabled
        // Servers send PINGs to measure the connection; they are no attack.
        configuration.controlFrameRateLimit.maximumCount = .max
        var streams = NIOHTTP2Handler.StreamConfiguration()
        streams.streamResetFrameRateLimit.maximumCount = .max
        streams.streamErrorRateLimit.maximumCount = .max
        try pipeline.addHandler(
            NIOHTTP2Handler(mode: .client, connectionConfiguration: configuration, streamConfiguration: streams))
        try pipeline.addHandler(self)
    }

    func send(_ step: PreparedStep, payload: ByteBuffer, slot: Int, isSampled: Bool) {
        guard let context, let headers = step.headers else { return }
        let stream = nextStream
        nextStream = nextStream.advanced(by: 2)
        calls[stream] = Call(slot: slot, isSampled: isSampled)
        write(.headers(.init(headers: headers)), on: stream, context)
        write(.data(.init(data: .byteBuffer(payload), endStream: true)), on: stream, context)
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
        closeReason = nil
        nextStream = 1
        consumedWindow = 0
        context.fireChannelActive()
        let increment = Self.largestWindow - Self.initialConnectionWindow
        write(.windowUpdate(windowSizeIncrement: increment), on: .rootStream, context)
        context.flush()
    }

    func channelInactive(context: ChannelHandlerContext) {
        isUp = false
        self.context = nil
        let lost = calls.values.map(\.slot)
        calls.removeAll()
        owner.linkIsDown(self, because: closeReason, lost: lost)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        close(because: describe(error))
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let now = Clock.now()
        let frame = unwrapInboundIn(data)
        switch frame.payload {
        case .headers(let headers):
            if headers.endStream { end(frame.streamID, GRPCMessage.failure(in: headers.headers), at: now) }
        case .data(let data):
            receive(data, on: frame.streamID, context, at: now)
        case .rstStream(let code):
            end(frame.streamID, "stream reset: \(code)", at: now)
        case .settings(.settings):
            guard !isUp && closeReason == nil else { break }
            isUp = true
            owner.linkIsUp(self)
        case .goAway(_, let code, _):
            // Calls under way may still be answered; the server closes the connection when they are.
            isUp = false
            if code != .noError { closeReason = "connection given up: \(code)" }
            if calls.isEmpty { context.close(promise: nil) }
        default:
            break
        }
        owner.readEnded(at: now)
    }

    private func receive(
        _ data: HTTP2Frame.FramePayload.Data, on stream: HTTP2StreamID, _ context: ChannelHandlerContext,
        at now: UInt64
    ) {
        guard case .byteBuffer(let buffer) = data.data else { return }
        consumedWindow += buffer.readableBytes + (data.paddingBytes.map { $0 + 1 } ?? 0)
        if consumedWindow > Self.largestWindow / 2 {
            write(.windowUpdate(windowSizeIncrement: consumedWindow), on: .rootStream, context)
            context.flush()
            consumedWindow = 0
        }
        if let call = calls[stream] {
            if call.isSampled {
                let prefix = max(0, GRPCMessage.prefixLength - call.received)
                buffer.withUnsafeReadableBytes { bytes in
                    owner.sample(UnsafeRawBufferPointer(rebasing: bytes.dropFirst(prefix)), slot: call.slot)
                }
            }
            calls[stream]?.received += buffer.readableBytes
        }
        if data.endStream { end(stream, "no grpc-status", at: now) }
    }

    private func end(_ stream: HTTP2StreamID, _ failure: String?, at now: UInt64) {
        guard let call = calls.removeValue(forKey: stream) else { return }
        let isCutShort = failure == nil && call.received < GRPCMessage.prefixLength
        if !isUp && calls.isEmpty { context?.close(promise: nil) }
        owner.replied(slot: call.slot, failure: isCutShort ? "no message in the reply" : failure, at: now)
    }

    private func write(
        _ payload: HTTP2Frame.FramePayload, on stream: HTTP2StreamID, _ context: ChannelHandlerContext
    ) {
        context.write(wrapOutboundOut(HTTP2Frame(streamID: stream, payload: payload)), promise: nil)
    }
}
