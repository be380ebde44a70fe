/// One element of a tensor as clients see it.
public enum TensorElement {
    case integer(Int64)
    case float(Double)
    case string(UnsafeRawBufferPointer)
}

extension Tensor {
    /// Calls `body` with each element in order. FLOAT is widened to double, BOOL is 0 or 1.
    public func forEachElement(_ body: (TensorElement) -> Void) {
        switch dataType {
        case .float: forEach(Float.self) { body(.float(Double($0))) }
        case .double: forEach(Double.self) { body(.float($0)) }
        case .int8: forEach(Int8.self) { body(.integer(Int64($0))) }
        case .int16: forEach(Int16.self) { body(.integer(Int64($0))) }
        case .int32: forEach(Int32.self) { body(.integer(Int64($0))) }
        case .int64: forEach(Int64.self) { body(.integer($0)) }
        case .uint8, .bool: forEach(UInt8.self) { body(.integer(Int64($0))) }
        case .uint16: forEach(UInt16.self) { body(.integer(Int64($0))) }
        case .string: forEachString { body(.string($0)) }
        }
    }

    private func forEach<Element: BitwiseCopyable>(_ type: Element.Type, _ body: (Element) -> Void) {
        withBytes { bytes in
            for element in bytes.assumingMemoryBound(to: type) { body(element) }
        }
    }
}

/// The elements of a tensor under construction, checked against the data type's range as they come.
public struct TensorElementWriter {
    private let dataType: DataType
    private let bytes: UnsafeMutableRawBufferPointer
    private var offset = 0

    /// `bytes` must have room for every element that will be written.
    public init(_ dataType: DataType, into bytes: UnsafeMutableRawBufferPointer) {
        self.dataType = dataType
        self.bytes = bytes
    }

    /// Whether the data type takes numbers with a fraction.
    public var takesFractions: Bool { dataType == .float || dataType == .double }

    /// Appends a number to a FLOAT (narrowed) or DOUBLE tensor.
    public mutating func append(_ value: Double) throws(TensorError) {
        switch dataType {
        case .float: put(Float(value))
        case .double: put(value)
        default: throw .invalidValue
        }
    }

    /// Appends an integer to a tensor of integers or BOOL.
    ///
    /// - Throws: `invalidValue` outside the range of the data type.
    public mutating func append(_ value: Int) throws(TensorError) {
        switch dataType {
        case .int8: try put(exactly: value, Int8.self)
        case .int16: try put(exactly: value, Int16.self)
        case .int32: try put(exactly: value, Int32.self)
        case .int64: put(Int64(value))
        case .uint8: try put(exactly: value, UInt8.self)
        case .uint16: try put(exactly: value, UInt16.self)
        case .bool:
            guard value == 0 || value == 1 else { throw .invalidValue }
            put(UInt8(value))
        case .float, .double, .string: throw .invalidValue
        }
    }

    private mutating func put<Element: FixedWidthInteger & BitwiseCopyable>(
        exactly value: Int, _ type: Element.Type
    ) throws(TensorError) {
        guard let element = Element(exactly: value) else { throw .invalidValue }
        put(element)
    }

    private mutating func put<Element: BitwiseCopyable>(_ element: Element) {
        bytes.storeBytes(of: element, toByteOffset: offset, as: Element.self)
        offset += MemoryLayout<Element>.size
    }
}
