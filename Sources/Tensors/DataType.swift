/// The type of a tensor's elements.
public enum DataType: UInt8, CaseIterable, Sendable {
    case float, double
    case int8, int16, int32, int64
    case uint8, uint16
    case bool
    /// Byte strings, each stored with one terminating NUL.
    case string

    /// The name in commands and replies.
    public var name: StaticString {
        switch self {
        case .float: "FLOAT"
        case .double: "DOUBLE"
        case .int8: "INT8"
        case .int16: "INT16"
        case .int32: "INT32"
        case .int64: "INT64"
        case .uint8: "UINT8"
        case .uint16: "UINT16"
        case .bool: "BOOL"
        case .string: "STRING"
        }
    }

    /// Bytes per element. A STRING element has no fixed size; 1 is its least, the terminating NUL.
    public var elementSize: Int {
        switch self {
        case .int8, .uint8, .bool, .string: 1
        case .int16, .uint16: 2
        case .float, .int32: 4
        case .double, .int64: 8
        }
    }
}
