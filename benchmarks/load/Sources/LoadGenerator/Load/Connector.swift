import NIOCore
import NIOPosix

/// Connects links, and connects them anew after they were closed.
struct Connector {
    static let timeout = TimeAmount.seconds(5)
    /// Reads of large replies take few calls; small ones still start small.
    private static let readBuffer = AdaptiveRecvByteBufferAllocator(minimum: 4096, initial: 16384, maximum: 1 << 20)

    let eventLoop: any EventLoop

    func connect(_ link: any Link) -> EventLoopFuture<Void> {
        let bound = NIOLoopBound(LinkBox(link: link), eventLoop: eventLoop)
        return ClientBootstrap(group: eventLoop)
            .connectTimeout(Self.timeout)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelOption(.recvAllocator, value: Self.readBuffer)
            // A write that waits is waited for by its request.
            .channelOption(.writeBufferWaterMark, value: .init(low: 1 << 20, high: 1 << 30))
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try bound.value.link.addHandlers(to: channel.pipeline.syncOperations)
                }
            }
            .connect(to: link.target.address)
            .map { _ in }
    }

    /// NIOLoopBound takes no existential.
    private struct LinkBox {
        let link: any Link
    }
}
