public import Tensors

/// Made-up inputs for a first run that nobody waits for.
public enum WarmUpInputs {
    /// Above this many bytes a made-up input costs more than it saves.
    private static let byteLimit = 16 * 1024 * 1024

    /// Zeros in the shape that a model declares, with 1 for a free (negative) dimension; nil when that is too large.
    public static func zeros(_ dataType: DataType, declared: Shape) -> Tensor? {
        var shape = Shape()
        for index in 0..<declared.rank { shape.append(declared[index] < 0 ? 1 : declared[index]) }
        guard let elements = shape.elementCount, elements <= byteLimit / dataType.elementSize else { return nil }
        return try? Tensor(zeros: dataType, shape)
    }
}
