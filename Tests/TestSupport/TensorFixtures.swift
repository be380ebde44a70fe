public import Tensors

/// Makes a tensor from its stored bytes.
public func makeTensor(_ dataType: DataType, _ shape: Shape, bytes: [UInt8]) throws -> Tensor {
    try bytes.withUnsafeBytes { try Tensor(dataType, shape, blob: $0) }
}

/// Makes a tensor of numbers; a vector unless there is a shape.
public func makeTensor<Element: BitwiseCopyable>(
    _ dataType: DataType, _ elements: [Element], _ shape: Shape? = nil
) throws -> Tensor {
    try elements.withUnsafeBytes { try Tensor(dataType, shape ?? [elements.count], blob: $0) }
}

/// Makes a STRING tensor; a vector unless there is a shape.
public func makeTensor(strings: [String], _ shape: Shape? = nil) throws -> Tensor {
    try Tensor(strings: strings, shape ?? [strings.count]) { string, body in
        Array(string.utf8).withUnsafeBytes { body($0) }
    }
}

extension Tensor {
    public var storedBytes: [UInt8] { withBytes { Array($0) } }

    /// The elements of a tensor of numbers.
    public func elements<Element: BitwiseCopyable>(as type: Element.Type) -> [Element] {
        withBytes { Array($0.bindMemory(to: type)) }
    }

    /// The elements of a STRING tensor.
    public var strings: [String] {
        var strings: [String] = []
        forEachString { strings.append(String(decoding: $0, as: UTF8.self)) }
        return strings
    }
}
