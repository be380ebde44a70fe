internal import Inference
internal import Persistence
internal import RedisModuleKit

/// `AI.MODELGET key [META] [BLOB]` reads what was stored. Unknown words are ignored.
enum ModelGet {
    static let command = Command(
        name: "ai.modelget", flags: "readonly", keys: .first(.read),
        documentation: CommandDocumentation(
            summary: "Returns a model's metadata and its serialised bytes.",
            complexity: "O(N) where N is the number of bytes of the model", since: "1.0.0",
            arguments: [
                DocumentedArgument("key", .key(specification: 0)),
                .word("META", optional: true),
                .word("BLOB", optional: true),
            ]),
        entry: { runCommand($0, $1, $2, ModelGet.run) })

    private static func run(_ context: CommandContext, _ arguments: inout Arguments) throws(CommandError) -> Reply {
        guard (2...4).contains(arguments.count), let key = arguments.next() else { throw .wrongArity(of: arguments) }
        let model = try context.model(at: key)
        var wantsMeta = false
        var wantsBlob = false
        while let word = arguments.next() {
            wantsMeta = wantsMeta || word.matches("META")
            wantsBlob = wantsBlob || word.matches("BLOB")
        }
        let wantsBoth = wantsMeta == wantsBlob
        let reply = ModelReply(model: model, hasMeta: wantsMeta || wantsBoth, hasBlob: wantsBlob || wantsBoth)
        return context.reply(reply, byteCount: reply.hasBlob ? model.definition.blob.byteCount : 0)
    }
}

/// A model as AI.MODELGET shows it.
private struct ModelReply: ReplyEncodable {
    let model: Model
    let hasMeta: Bool
    let hasBlob: Bool

    func encode(into reply: ReplyWriter) {
        if hasMeta { encodeMeta(into: reply) }
        if hasBlob {
            if hasMeta { reply.label("blob") }
            encodeBlob(into: reply)
        }
    }

    private func encodeMeta(into reply: ReplyWriter) {
        let definition = model.definition
        reply.array(hasBlob ? 18 : 16)
        reply.label("backend")
        reply.bulk(definition.backend.name)
        reply.label("device")
        reply.bulk(definition.device.name)
        reply.label("tag")
        reply.bulk(definition.tag)
        reply.label("batchsize")
        reply.integer(definition.batching.size)
        reply.label("minbatchsize")
        reply.integer(definition.batching.minimumSize)
        reply.label("inputs")
        encode(model.inputNames, into: reply)
        reply.label("outputs")
        encode(model.outputNames, into: reply)
        reply.label("minbatchtimeout")
        reply.integer(definition.batching.minimumTimeout)
    }

    private func encode(_ names: [String], into reply: ReplyWriter) {
        reply.array(names.count)
        for name in names { reply.bulk(name) }
    }

    /// One bulk string, or an array of them when the blob is as large as a chunk may be.
    private func encodeBlob(into reply: ReplyWriter) {
        let blob = model.definition.blob
        guard blob.byteCount >= modelChunkSize.value else { return blob.withContiguousBytes { reply.bulk($0) } }
        // Looked up once: the setting may change while another thread writes.
        let size = blob.pieceSize
        reply.array(blob.pieceCount(of: size))
        blob.forEachPiece(of: size) { reply.bulk($0) }
    }
}
