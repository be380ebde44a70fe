public import Inference
import Synchronization

/// A server as a running script reaches it, which answers as its test says. Unless told otherwise every answer is null.
public final class FakeServer: ScriptServer {
    public typealias Execute = @Sendable ([[UInt8]], any ScriptReplyWriter) throws(InferenceError) -> Void
    public typealias FindModel = @Sendable (String) throws(InferenceError) -> Model

    private let onExecute: Execute
    private let onModel: FindModel
    private let received = Mutex<[[[UInt8]]]>([])

    public init(
        models onModel: @escaping FindModel = { _ throws(InferenceError) in throw InferenceError("ERR no such model") },
        onExecute: @escaping Execute = { _, reply in reply.null() }
    ) {
        self.onExecute = onExecute
        self.onModel = onModel
    }

    /// The words of all commands so far.
    public var commands: [[String]] {
        received.withLock { $0 }.map { words in words.map { String(decoding: $0, as: UTF8.self) } }
    }

    public func execute(_ words: [UnsafeRawBufferPointer], reply: any ScriptReplyWriter) throws(InferenceError) {
        let words = words.map { Array($0) }
        received.withLock { $0.append(words) }
        try onExecute(words, reply)
    }

    public func model(at key: UnsafeRawBufferPointer) throws(InferenceError) -> Model {
        try onModel(String(decoding: key, as: UTF8.self))
    }
}

extension ScriptReplyWriter {
    public func text(_ text: String) {
        Array(text.utf8).withUnsafeBytes { self.text($0) }
    }
}
