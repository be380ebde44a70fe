internal import Tensors

/// The type of a tensor's elements as TensorFlow Lite's schema numbers it.
struct LiteRTElementType: Equatable {
    let code: Int8

    static let half = LiteRTElementType(code: 1)

    /// The module's data type; nil when it has none.
    var dataType: DataType? {
        switch code {
        case 0: .float
        case 2: .int32
        case 3: .uint8
        case 4: .int64
        case 5: .string
        case 6: .bool
        case 7: .int16
        case 9: .int8
        case 10: .double
        case 16: .uint16
        default: nil
        }
    }
}

extension DataType {
    /// The number that the engine's interface has for the data type: another one than the schema's.
    var liteRTElementType: Int32 {
        switch self {
        case .float: 1
        case .int32: 2
        case .uint8: 3
        case .int64: 4
        case .string: 5
        case .bool: 6
        case .int16: 7
        case .int8: 9
        case .double: 11
        case .uint16: 17
        }
    }
}
