internal import Inference
internal import RedisModuleKit

/// The server as scripts reach it: each command and look-up takes the server's lock for itself, and is subject to the rights
/// that the script's caller has at that moment.
struct ScriptServerAccess: ScriptServer {
    private let server: BackgroundServer
    /// Nil where nobody asks.
    private let effects: ScriptEffects?

    init(_ context: CommandContext, _ effects: ScriptEffects?) {
        self.effects = effects
        server = BackgroundServer(context, actingFor: context.scriptCaller)
    }

    func execute(_ words: [UnsafeRawBufferPointer], reply: any ScriptReplyWriter) throws(InferenceError) {
        do throws(CommandError) {
            try server.withLock(for: words.first ?? .init(start: nil, count: 0)) { server throws(CommandError) in
                do throws(CommandError) {
                    try server.call(words) {
                        effects?.note()
                        write($0, to: reply)
                    }
                } catch {
                    effects?.noteFailure(server)
                    throw error
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
                try checkRun(of: Array(key), server)
                return try server.withKey(key) { key throws(CommandError) in try key.model() }
            }
        } catch {
            throw InferenceError(error.text)
        }
    }

    /// Running a model from a script takes what running it by AI.MODELEXECUTE takes, but for tensors, which are no keys here.
    private func checkRun(of model: [UInt8], _ server: LockedServer) throws(CommandError) {
        let permissions = server.permissions
        let name = "ai.modelexecute"
        let clauses = ["inputs", "0", "outputs", "0"].map { Array($0.utf8) }
        if permissions.allowCommand([Array(name.utf8), model] + clauses) { return }
        try permissions.require(.read, to: model)
        throw permissions.refusal(ofCommand: name)
    }
}
