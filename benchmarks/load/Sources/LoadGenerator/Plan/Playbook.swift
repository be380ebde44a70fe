import FoundationEssentials
import NIOCore
import NIOHPACK

/// The requests of a plan as they go over the wire, encoded once and shared by all connections.
struct Playbook: Sendable {
    /// In the order that `PreparedStep.target` counts in.
    let targets: [PreparedTarget]
    let requests: [[PreparedStep]]

    /// - Throws: what resolving a host name throws.
    init(_ plan: Plan) throws {
        let names = plan.targets.keys.filter { name in plan.uses(target: name) }.sorted()
        let prepared = try names.map { name in try PreparedTarget(name: name, plan.targets[name]!) }
        targets = prepared
        requests = plan.requests.map { request in
            // From the last to the first: a step has to know what its reply goes into.
            var steps: [PreparedStep] = []
            for step in request.steps.reversed() {
                let target = names.firstIndex(of: step.target)!
                steps.append(PreparedStep(step, target: target, of: prepared[target], feeds: steps.last?.splice))
            }
            return steps.reversed()
        }
    }

    /// Requests of one RESP command.
    init(command: String, to target: PreparedTarget) {
        targets = [target]
        requests = [[PreparedStep(command: command)]]
    }
}

extension Plan {
    fileprivate func uses(target name: String) -> Bool {
        requests.contains { request in request.steps.contains { $0.target == name } }
    }
}

struct PreparedTarget: Sendable {
    let name: String
    let wire: Plan.Wire
    let address: SocketAddress
    /// Host and port as the plan names them.
    let authority: String

    init(name: String, _ target: Plan.Target) throws {
        self.name = name
        wire = target.wire
        authority = "\(target.host):\(target.port)"
        do {
            address = try SocketAddress.makeAddressResolvingHost(target.host, port: target.port)
        } catch {
            throw RunError.unreachable("cannot find the host \"\(target.host)\" of target \"\(name)\"")
        }
    }
}

/// One message, as a class so that connections share it by one reference.
final class PreparedStep: Sendable {
    let target: Int
    let payload: ByteBuffer
    /// The request headers of a gRPC step.
    let headers: HPACKHeaders?
    let replies: Int
    let splice: PreparedSplice?
    /// The splice of the next step, which takes this step's reply.
    let feeds: PreparedSplice?

    init(_ step: Plan.Step, target index: Int, of target: PreparedTarget, feeds: PreparedSplice?) {
        self.target = index
        self.feeds = feeds
        replies = step.replies
        switch target.wire {
        case .resp, .http1:
            payload = ByteBuffer(bytes: step.payload)
            headers = nil
        case .grpc:
            payload = GRPCMessage.frame(step.payload)
            headers = GRPCMessage.headers(path: step.path ?? "/", authority: target.authority)
        }
        let framing = payload.readableBytes - step.payload.count
        splice = step.splice.map { [payload] splice in
            PreparedSplice(of: payload, offset: framing + splice.offset, length: splice.length)
        }
    }

    /// A RESP command without arguments.
    init(command: String) {
        target = 0
        payload = ByteBuffer(string: "*1\r\n$\(command.utf8.count)\r\n\(command)\r\n")
        headers = nil
        replies = 1
        splice = nil
        feeds = nil
    }
}

/// A payload around the bytes that a reply replaces; both parts share the payload's memory.
struct PreparedSplice: Sendable {
    let prefix: ByteBuffer
    let length: Int
    let suffix: ByteBuffer

    var messageLength: Int { prefix.readableBytes + length + suffix.readableBytes }

    init(of payload: ByteBuffer, offset: Int, length: Int) {
        prefix = payload.getSlice(at: payload.readerIndex, length: offset) ?? ByteBuffer()
        self.length = length
        let end = payload.readerIndex + offset + length
        suffix = payload.getSlice(at: end, length: payload.writerIndex - end) ?? ByteBuffer()
    }
}
