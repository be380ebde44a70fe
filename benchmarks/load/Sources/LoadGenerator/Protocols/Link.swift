import Glibc
import NIOCore
import NIOHTTP2

/// A connection to one target. It lives on one event loop and connects anew after it was closed.
protocol Link: AnyObject {
    var target: PreparedTarget { get }
    /// Which connection of the load it belongs to.
    var connection: Int { get }
    /// Whether a message can be sent now.
    var isUp: Bool { get }
    /// The slot whose message has waited longest for its reply.
    var oldestWaiting: Int? { get }

    func addHandlers(to pipeline: ChannelPipeline.SynchronousOperations) throws
    /// Sends a message whose bytes are `payload`; `flush` puts it on the wire.
    func send(_ step: PreparedStep, payload: ByteBuffer, slot: Int, isSampled: Bool)
    func flush()
    /// Ends the connection; what waits for replies fails with this text.
    func close(because reason: String)
}

/// What a link tells its owner, on the event loop.
protocol LinkOwner: AnyObject {
    /// The link can be used.
    func linkIsUp(_ link: any Link)
    /// The link cannot be used any more. The slots' messages have found no reply.
    func linkIsDown(_ link: any Link, because reason: String?, lost slots: [Int])
    /// Some of the payload of a reply that goes into the next message.
    func capture(_ bytes: UnsafeRawBufferPointer, slot: Int)
    /// Some of a reply that is shown as a sample.
    func sample(_ bytes: UnsafeRawBufferPointer, slot: Int)
    /// A message has found its replies. The owner may send further ones from here.
    func replied(slot: Int, failure: String?, at now: UInt64)
    /// Everything that a read brought has been told.
    func readEnded(at now: UInt64)
}

extension LinkOwner {
    /// A link to the target, in its protocol.
    func makeLink(to target: PreparedTarget, connection: Int) -> any Link {
        switch target.wire {
        case .resp: StreamLink<RESPParser>(to: target, connection: connection, owner: self)
        case .http1: StreamLink<HTTP1Parser>(to: target, connection: connection, owner: self)
        case .grpc: GRPCLink(to: target, connection: connection, owner: self)
        }
    }
}

/// What people read of an error from the network.
func describe(_ error: any Error) -> String {
    switch error {
    case let error as MalformedReply: error.text
    case let error as IOError: String(cString: strerror(error.errnoCode))
    case ChannelError.connectTimeout: "no connection within the time allowed"
    case is any NIOHTTP2Error: "no proper HTTP/2: \("\(error)".prefix { $0 != "(" })"
    default: "\(error)"
    }
}
