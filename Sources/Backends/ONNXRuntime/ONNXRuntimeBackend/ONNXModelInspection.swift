internal import BackendSupport
internal import Inference

/// Looks through a serialised model before the engine sees it.
///
/// A model comes from a client, and ONNX lets an initializer say that its data stand in another file: the engine would
/// read whatever file of the server the model names, or memory addresses. Such models are refused. Only the messages
/// on the way to tensors are entered; field numbers are those of onnx.proto.
enum ONNXModelInspection {
    private static let externalData = InferenceError("Initializer tensors with external data is not allowed.")
    private static let malformed = InferenceError("Failed to load model because protobuf parsing failed.")
    /// Depth at which the engine's own parser gives up.
    private static let depthLimit = 100

    /// Initializers up to this size are copied by the engine through its allocator, larger ones past it.
    private static let uncountedFrom = 128

    /// Throws for a model that is refused.
    ///
    /// - Returns: the bytes of initializers that the engine will hold without its allocator knowing.
    static func check(_ model: UnsafeRawBufferPointer) throws(InferenceError) -> Int {
        try check(model, as: .model, depth: 0)
    }

    /// The message types on the way to tensors.
    private enum Message {
        case model, training, function, graph, node, attribute, sparseTensor, tensor

        /// The type of the message in field `number`, if it is to be entered.
        func child(_ number: Int) -> Message? {
            switch (self, number) {
            case (.model, 7), (.training, 1), (.training, 2), (.attribute, 6), (.attribute, 11): .graph
            case (.model, 20): .training
            case (.model, 25): .function
            case (.function, 7), (.graph, 1): .node
            case (.function, 11), (.node, 5): .attribute
            case (.graph, 5), (.attribute, 5), (.attribute, 10), (.sparseTensor, 1), (.sparseTensor, 2): .tensor
            case (.graph, 15), (.attribute, 22), (.attribute, 23): .sparseTensor
            default: nil
            }
        }
    }

    private static func check(
        _ bytes: UnsafeRawBufferPointer, as message: Message, depth: Int
    ) throws(InferenceError) -> Int {
        guard depth < depthLimit else { throw malformed }
        var uncounted = 0
        var fields = WireReader(bytes)
        while let field = try fields.next(orThrow: malformed) {
            if message == .tensor, field.number == 13 || (field.number == 14 && field.enumeration == 1) {
                throw externalData
            }
            if let child = message.child(field.number), let content = field.content {
                uncounted += try check(content, as: child, depth: depth + 1)
            }
        }
        // The payload of a tensor message is all of it but a few bytes.
        return message == .tensor && bytes.count >= uncountedFrom ? bytes.count : uncounted
    }
}
