/// New objects for the front of an existing flatbuffer.
///
/// Offsets in a flatbuffer point forward, from where they stand. So a file can get a new start that refers to objects of
/// the old one, which follows unchanged, but nothing of the old file can refer to anything new.
struct FlatbufferPrefix {
    /// An object, new or of the old file. A new one is referred to before it is written.
    enum Reference {
        case new(Int)
        /// By its position in the old file.
        case old(Int)
    }

    enum Field {
        case byte(UInt8)
        case number(UInt32)
        case reference(Reference)
    }

    /// The largest alignment of anything in a flatbuffer, and more.
    private static let alignment = 64

    private var bytes: [UInt8] = []
    private var references: [(place: Int, target: Reference)] = []
    private var positions: [Int] = []

    /// Starts with a reference to the root table.
    ///
    /// - Parameter identifier: four characters.
    init(identifier: StaticString, root: (inout FlatbufferPrefix) -> Int) {
        bytes = Array(repeating: 0, count: 4) + Array(UnsafeBufferPointer(start: identifier.utf8Start, count: 4))
        let root = root(&self)
        references.append((0, .new(root)))
    }

    /// A number for an object that is yet to be written.
    mutating func announce() -> Int {
        positions.append(0)
        return positions.count - 1
    }

    /// Writes a table with its fields by number.
    mutating func table(_ object: Int, _ fields: [(number: Int, content: Field)]) {
        align(4)
        let directory = bytes.count
        let entries = (fields.map(\.number).max() ?? -1) + 1
        append(UInt16(4 + 2 * entries))
        append(UInt16(4 + 4 * fields.count))
        for number in 0..<entries {
            let position = fields.firstIndex { $0.number == number }
            append(UInt16(position.map { 4 + 4 * $0 } ?? 0))
        }
        align(4)
        positions[object] = bytes.count
        append(UInt32(bytes.count - directory))
        for field in fields {
            switch field.content {
            case .byte(let value): append(UInt32(value))
            case .number(let value): append(value)
            case .reference(let target): append(target)
            }
        }
    }

    mutating func vector(_ object: Int, _ elements: [UInt32]) {
        start(object, count: elements.count)
        for element in elements { append(element) }
    }

    mutating func vector(_ object: Int, _ elements: [Reference]) {
        start(object, count: elements.count)
        for element in elements { append(element) }
    }

    private mutating func start(_ object: Int, count: Int) {
        align(4)
        positions[object] = bytes.count
        append(UInt32(count))
    }

    private mutating func append(_ target: Reference) {
        references.append((bytes.count, target))
        append(UInt32(0))
    }

    private mutating func append<Number: FixedWidthInteger & BitwiseCopyable>(_ number: Number) {
        withUnsafeBytes(of: number.littleEndian) { bytes.append(contentsOf: $0) }
    }

    private mutating func align(_ alignment: Int) {
        bytes.append(contentsOf: repeatElement(0, count: -bytes.count & (alignment - 1)))
    }

    /// The bytes to put before the old file; nil when an offset does not fit its 32 bits.
    consuming func finish() -> [UInt8]? {
        align(Self.alignment)
        for (place, target) in references {
            let position =
                switch target {
                case .new(let object): positions[object]
                case .old(let position): bytes.count + position
                }
            guard let offset = UInt32(exactly: position - place) else { return nil }
            for byte in 0..<4 { bytes[place + byte] = UInt8(truncatingIfNeeded: offset >> (8 * UInt32(byte))) }
        }
        return bytes
    }
}
