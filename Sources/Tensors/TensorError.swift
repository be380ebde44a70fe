/// Why a tensor cannot be made.
public enum TensorError: Error, Equatable, Sendable {
    /// The size overflows, exceeds the limit, or there is no memory for it.
    case sizeExceedsLimit
    /// A BLOB whose length is not the shape's times the element size.
    case blobLengthMismatch
    /// A BOOL element that is neither 0 nor 1.
    case invalidBool
    /// A STRING BLOB that does not hold the shape's number of NUL-terminated elements.
    case stringCountMismatch
    /// A STRING value with a NUL inside.
    case stringContainsNull
    /// A value that is not a number of the data type.
    case invalidValue
}
