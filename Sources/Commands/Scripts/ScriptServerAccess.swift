internal import Inference
internal import RedisModuleKit

/// The server as scripts reach it: each command and look-up takes the server's lock for itself.
struct ScriptServerAccess: ScriptServer {
    private let server: BackgroundServer
    /// Nil where nobody asks.
    private let effects: ScriptEffects?

    init(_ context: CommandContext, _ effects: ScriptEffects?) {
        self.effects = effects
        server = BackgroundServer(context)
    }

    func execute(_ words: [UnsafeRawBufferPointer], reply: any ScriptReplyWriter) throws(InferenceError) {
        do throws(CommandError) {
            try server.withLock { server throws(CommandError) in
                try server.call(words) {
                    effects?.note()
                    write($0, to: reply)
                }
            }
        } catch {
            throw InferenceError(error.text)
        }
    }

    private func write(_ part: CallReply, to reply: any ScriptReplyWriter) {
        switch part.kind {
        case .text(let bytes): reply.text(bytes)
        case .integer(let value): reply.integer(value)
        case .null: reply.null()
        case .array(let count):
            reply.array(count)
            for index in 0..<count {
                if let element = part[index] { write(element, to: reply) } else { reply.null() }
            }
        }
    }

    func model(at key: UnsafeRawBufferPointer) throws(InferenceError) -> Model {
        do throws(CommandError) {
            return try server.withLock { server throws(CommandError) in
                try server.withKey(key) { key throws(CommandError) in try key.model() }
            }
        } catch {
            throw InferenceError(error.text)
        }
    }
}
