public import RedisModuleKit
public import Tensors

/// How tensors are kept in data files.
///
/// Layout 4: element code, bits, rank and dimensions (signed), the stored bytes, and for STRING the offset of each
/// element.
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
                    // One block: only its size can make freeing slow. The server takes 64 as "in the background".
                    if MemoryPressure.isHigh { return 1 }
                    return ValueTypeCallbacks.borrow(value, as: Tensor.self).byteCount >= 1 << 20 ? 65 : 1
                }))
    }

    // MARK: RDB

    private static func load(_ file: DataFileReader, _ version: Int32) -> Tensor? {
        do {
            guard version == encodingVersion else { throw DataFileError() }
            let code = try file.count()
            let bits = try file.count()
            guard let dataType = DataType(code: code, bits: bits) else { throw DataFileError() }
            var shape = Shape()
            let rank = try file.signed()
            guard (0...Int64(Shape.rankLimit)).contains(rank) else { throw DataFileError() }
            for _ in 0..<rank { shape.append(Int(try file.signed())) }
            let tensor = try file.string().withBytes { try Tensor(dataType, shape, blob: $0) }
            if dataType == .string {
                // The offsets follow from the bytes; they are read to get past them.
                for _ in 0..<tensor.elementCount { _ = try file.unsigned() }
            }
            return tensor
        } catch {
            file.logError("a tensor could not be read (layout \(version)): \(error)")
            return nil
        }
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
