/// A failure while loading or running a model, with the text that the client gets.
public struct InferenceError: Error, Equatable, Sendable {
    public let message: String

    public init(_ message: String) {
        self.message = message
    }

    public static let couldNotLoadBackend = InferenceError("ERR Could not load backend")
    public static let couldNotCreateQueue = InferenceError("ERR Could not initialize queue on requested device")
    public static let wrongInputCount = InferenceError(
        "Number of keys given as INPUTS here does not match model definition")
    public static let wrongOutputCount = InferenceError(
        "Number of keys given as OUTPUTS here does not match model definition")
    public static let unexpectedOutputCount = InferenceError(
        "ERR Model did not generate the expected number of outputs")

    public static let unexpectedBatchSize = InferenceError("ERR Model did not generate the expected batch size")
    public static let inputHasNoTensor = InferenceError("ERR INPUT key cannot be found in DAG")
    static let noMemoryForOutput = InferenceError("ERR there is no memory for an output")

    public static let runDidNotEnd = InferenceError("a run of it did not end")
    public static let runAbandoned = InferenceError(
        "ERR the run did not end when it was interrupted, and was abandoned")

    public static func noWorkers(_ device: String) -> InferenceError {
        InferenceError("ERR the queue of device \(device) has lost its threads to runs that did not end")
    }

    public static func isBroken(_ kind: ArtifactIdentity.Kind, _ reason: String) -> InferenceError {
        InferenceError("ERR \(kind.rawValue.lowercased()) is broken: \(reason)")
    }

    public static func queueIsFull(_ device: String, requestLimit: Int) -> InferenceError {
        InferenceError("ERR the queue of device \(device) is full (\(requestLimit) requests)")
    }

    public static func queueIsFull(_ device: String, byteLimit: Int) -> InferenceError {
        InferenceError("ERR the queue of device \(device) is full (\(byteLimit) bytes)")
    }

    public static func tooManyLoads(limit: Int) -> InferenceError {
        InferenceError("ERR too many models are waiting to be loaded (\(limit))")
    }
}
