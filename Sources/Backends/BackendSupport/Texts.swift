public import Inference

extension InferenceError {
    public static let stringContainsNull = InferenceError("ERR C-string value contains null character")
    public static let tensorTooLarge = InferenceError("ERR tensor size exceeds the limit")
    public static let unsupportedRank = InferenceError("ERR unsupported tensor rank")
}
