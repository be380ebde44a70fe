public import RedisModuleKit
public import Tensors

/// How tensors are kept in data files.
///
/// Layout 4, which is written: element code, bits, rank and dimensions (signed), the stored bytes, and for STRING the offset
/// of each element. What the layouts before it have is ``TensorLayout``.
public enum TensorType {
    /// Tensors as values of keys.
    public static let valueType = ValueType<Tensor>(name: "AI_TENSOR", storeEvent: "ai.tensorset")
    static let encodingVersion: Int32 = 4

    /// Registers the type; false when the server refuses it.
    public static func register(_ module: ModuleContext) -> Bool {
        valueType.register(
            module, encodingVersion: encodingVersion,
            callbacks: ValueTypeCallbacks(
                load: { file, version in
                    DataFileReader(file).flatMap { TensorType.load($0, version) }.map(ValueTypeCallbacks.give)
                },
                save: { file, value in
                    guard let file = DataFileWriter(file), let value else { return }
                    TensorType.save(ValueTypeCallbacks.borrow(value), file)
                },
                rewrite: { file, key, value in
                    guard let file = AppendOnlyFileWriter(file, key: key), let value else { return }
                    TensorType.rewrite(ValueTypeCallbacks.borrow(value), file)
                },
                memoryUsage: { value in
                    guard let value else { return 0 }
                    return ValueTypeCallbacks.borrow(value, as: Tensor.self).footprint
                },
                digest: { digest, value in
                    guard let digest = DigestWriter(digest), let value else { return }
                    TensorType.digest(ValueTypeCallbacks.borrow(value), digest)
                },
                freeEffort: { _, value in
                    guard let value else { return 1 }
                    if MemoryPressure.isHigh { return 1 }
                    // One block: only its size can make freeing slow. The server takes 64 as "in the background".
                    return ValueTypeCallbacks.borrow(value, as: Tensor.self).byteCount >= 1 << 20 ? 65 : 1
                }))
    }

    // MARK: RDB

    private static func load(_ file: DataFileReader, _ version: Int32) -> Tensor? {
        do {
            return try read(file, TensorLayout(version))
        } catch {
            file.logError("a tensor could not be read (layout \(version)): \(error)")
            return nil
        }
    }

    /// Nothing is allocated for a number that a payload claims: only for bytes that it has.
    private static func read(_ file: DataFileReader, _ layout: TensorLayout) throws -> Tensor {
        if layout.hasDevice {
            guard try file.unsigned() == TensorLayout.cpu else { throw DataFileError() }
            _ = try file.signed()
        }
        let dataType = try dataType(file, layout)
        let rank = layout.hasDevice ? try file.count() : Int(try file.signed())
        guard (0...Shape.rankLimit).contains(rank) else { throw DataFileError() }
        let shape = try numbers(rank, file)
        guard layout.hasStrides else {
            let tensor = try file.string().withBytes { try Tensor(dataType, Shape(shape), limit: .max, blob: $0) }
            if dataType == .string {
                // The offsets follow from the bytes; they are read to get past them.
                for _ in 0..<tensor.elementCount { _ = try file.unsigned() }
            }
            return tensor
        }
        let strides = try numbers(rank, file)
        let offset = try file.count()
        return try file.string().withBytes {
            try Tensor(dataType, Shape(shape), limit: .max, strides: strides, offset: offset, of: $0)
        }
    }

    private static func dataType(_ file: DataFileReader, _ layout: TensorLayout) throws(DataFileError) -> DataType {
        let first = try file.count()
        let second = try file.count()
        let (code, bits) = layout.hasBitsBeforeCode ? (second, first) : (first, second)
        if layout.hasLanes {
            guard try file.unsigned() == 1 else { throw DataFileError() }
        }
        guard let dataType = DataType(code: code, bits: bits), dataType != .string || layout.hasStrings else {
            throw DataFileError()
        }
        return dataType
    }

    private static func numbers(_ count: Int, _ file: DataFileReader) throws(DataFileError) -> [Int] {
        var numbers: [Int] = []
        for _ in 0..<count { numbers.append(Int(try file.signed())) }
        return numbers
    }

    private static func save(_ tensor: Tensor, _ file: DataFileWriter) {
        file.unsigned(tensor.dataType.code)
        file.unsigned(tensor.dataType.bits)
        file.signed(tensor.shape.rank)
        for index in 0..<tensor.shape.rank { file.signed(tensor.shape[index]) }
        tensor.withBytes { file.string($0) }
        guard tensor.dataType == .string else { return }
        var offset = 0
        tensor.forEachString { element in
            file.unsigned(offset)
            offset += element.count + 1
        }
    }

    // MARK: Append-only file and replication

    private static func rewrite(_ tensor: Tensor, _ file: AppendOnlyFileWriter) {
        file.emit("AI.TENSORSET", commandLine(storing: tensor, at: file.keyArgument))
    }

    /// The arguments of the AI.TENSORSET that makes `tensor` again: key, data type, dimensions, BLOB and bytes.
    public static func commandLine(storing tensor: Tensor, at key: ServerString) -> CommandLine {
        var line = CommandLine(capacity: 4 + tensor.shape.rank)
        line.append(key)
        line.append(tensor.dataType.name)
        for index in 0..<tensor.shape.rank { line.append(String(tensor.shape[index])) }
        line.append("BLOB")
        tensor.withBytes { line.append($0) }
        return line
    }

    // MARK: DEBUG DIGEST

    private static func digest(_ tensor: Tensor, _ digest: DigestWriter) {
        digest.add("\(tensor.dataType.name)")
        for index in 0..<tensor.shape.rank { digest.add(tensor.shape[index]) }
        tensor.withBytes { digest.add($0) }
        digest.endSequence()
    }
}

/// In what the layouts of tensors differ.
///
/// Layouts 0 to 3 are all fields of a DLPack tensor, in memory order: device type and number, bits, code, lanes, rank,
/// dimensions, strides in elements, offset of the first element in bytes, and the bytes.
private struct TensorLayout {
    private let isDLPack: Bool
    /// The number of the processor among DLPack's device types: the only place where tensors were kept.
    static let cpu: UInt64 = 1

    init(_ version: Int32) throws(DataFileError) {
        guard (0...TensorType.encodingVersion).contains(version) else { throw DataFileError() }
        isDLPack = version < 4
    }

    var hasDevice: Bool { isDLPack }
    var hasBitsBeforeCode: Bool { isDLPack }
    var hasLanes: Bool { isDLPack }
    var hasStrides: Bool { isDLPack }
    var hasStrings: Bool { !isDLPack }
}

extension DataType {
    /// Element kinds in data files.
    private enum Code {
        static let signed = 0, unsigned = 1, float = 2, bool = 6, string = 7
    }

    var code: Int {
        switch self {
        case .int8, .int16, .int32, .int64: Code.signed
        case .uint8, .uint16: Code.unsigned
        case .float, .double: Code.float
        case .bool: Code.bool
        case .string: Code.string
        }
    }

    var bits: Int { elementSize * 8 }

    init?(code: Int, bits: Int) {
        guard let match = DataType.allCases.first(where: { $0.code == code && $0.bits == bits }) else { return nil }
        self = match
    }
}
