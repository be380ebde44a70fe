internal import RedisModuleKit
internal import Tensors

/// The part of AI.TENSORSET that describes a tensor: `dtype [dim ...] [BLOB data | VALUES val ...]`.
enum TensorClause {
    /// Reads a tensor from the arguments, to their end.
    ///
    /// - Parameter isCopy: whether it comes from a primary or the append-only file. Such a tensor may have dimensions of
    ///   zero, which only engines make otherwise, and be larger than this server's limit: it exists already, and a replica
    ///   that refused it would differ from its primary from then on.
    static func parse(
        _ arguments: inout Arguments, isCopy: Bool
    ) throws(CommandError) -> Tensor {
        guard let name = arguments.next(), let dataType = dataType(name) else { throw .invalidDataType }
        let shape = try parseShape(&arguments, minimum: isCopy ? 0 : 1)
        let limit = isCopy ? Int.max : tensorSizeLimit
        if arguments.consume("BLOB") { return try blob(arguments.takeAll(), dataType, shape, limit) }
        if arguments.consume("VALUES") { return try values(arguments.takeAll(), dataType, shape, limit) }
        return try make(dataType) { () throws(TensorError) in try Tensor(zeros: dataType, shape, limit: limit) }
    }

    private static func dataType(_ name: Argument) -> DataType? {
        // By far the most frequent.
        name.matches(DataType.float.name) ? .float : DataType.allCases.first { name.matches($0.name) }
    }

    /// Dimensions up to the word BLOB or VALUES or the end.
    private static func parseShape(_ arguments: inout Arguments, minimum: Int) throws(CommandError) -> Shape {
        var shape = Shape()
        while let argument = arguments.peek, !argument.matches("BLOB"), !argument.matches("VALUES") {
            guard let dimension = argument.integer, dimension >= minimum else { throw .invalidShape }
            guard shape.rank < Shape.rankLimit else { throw .rankTooHigh }
            shape.append(dimension)
            _ = arguments.next()
        }
        return shape
    }

    private static func blob(
        _ data: ArgumentSlice, _ dataType: DataType, _ shape: Shape, _ limit: Int
    ) throws(CommandError) -> Tensor {
        guard data.count == 1 else { throw .blobArgumentCount }
        return try make(dataType) { () throws(TensorError) in
            try data[0].withBytes { bytes throws(TensorError) in
                try Tensor(dataType, shape, limit: limit, blob: bytes)
            }
        }
    }

    private static func values(
        _ values: ArgumentSlice, _ dataType: DataType, _ shape: Shape, _ limit: Int
    ) throws(CommandError) -> Tensor {
        guard let count = shape.elementCount else { throw .tensorTooLarge }
        guard values.count == count else { throw .wrongNumberOfValues }
        return try make(dataType) { () throws(TensorError) in
            if dataType == .string {
                return try Tensor(strings: values, shape, limit: limit) { value, body in value.withBytes { body($0) } }
            }
            return try Tensor(dataType, shape, limit: limit) { bytes throws(TensorError) in
                try write(values, TensorElementWriter(dataType, into: bytes))
            }
        }
    }

    private static func write(_ values: ArgumentSlice, _ writer: TensorElementWriter) throws(TensorError) {
        var writer = writer
        for value in values {
            if writer.takesFractions {
                guard let number = value.double else { throw .invalidValue }
                try writer.append(number)
            } else {
                guard let number = value.integer else { throw .invalidValue }
                try writer.append(number)
            }
        }
    }

    private static func make(
        _ dataType: DataType, _ body: () throws(TensorError) -> Tensor
    ) throws(CommandError) -> Tensor {
        do throws(TensorError) { return try body() } catch { throw CommandError(error) }
    }
}

// MARK: Texts

extension CommandError {
    static let invalidDataType = CommandError("ERR invalid data type")
    static let invalidShape = CommandError("ERR invalid or negative value found in tensor shape")
    static let rankTooHigh = CommandError("ERR tensor rank exceeds the limit of \(Shape.rankLimit)")
    static let blobArgumentCount = CommandError(
        "ERR a single binary string should come after the BLOB argument in 'AI.TENSORSET' command")
    static let wrongNumberOfValues = CommandError("ERR wrong number of values was given in 'AI.TENSORSET' command")
    static var tensorTooLarge: CommandError {
        CommandError("ERR tensor size exceeds the limit of \(tensorSizeLimit) bytes or the available memory")
    }

    init(_ error: TensorError) {
        switch error {
        case .sizeExceedsLimit: self = .tensorTooLarge
        case .blobLengthMismatch: self.init("ERR data length does not match tensor shape and type")
        case .invalidBool: self.init("ERR BOOL tensor elements must be 0 or 1")
        case .stringCountMismatch:
            self.init("ERR Number of string elements in data blob does not match tensor length")
        case .stringContainsNull: self.init("ERR C-string value contains null character")
        case .invalidValue: self.init("ERR invalid value")
        }
    }
}
