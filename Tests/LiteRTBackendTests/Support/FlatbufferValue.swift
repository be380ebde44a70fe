/// A flatbuffer under construction, as a tree: just enough of the format to write models, well-formed or not.
indirect enum FlatbufferValue {
    case byte(UInt8)
    case number(Int)
    case wide(UInt64)
    case text(String)
    case bytes([UInt8])
    case numbers([Int])
    case tables([FlatbufferValue])
    /// Fields by number.
    case table([Int: FlatbufferValue])

    /// The file that has this table as its root.
    func file(identifier: String) -> [UInt8] {
        var writer = Writer()
        writer.bytes = [0, 0, 0, 0] + Array(identifier.utf8)
        writer.refer(from: 0, to: writer.write(self))
        return writer.bytes
    }

    private struct Writer {
        var bytes: [UInt8] = []

        mutating func append<Number: FixedWidthInteger>(_ number: Number) {
            withUnsafeBytes(of: number.littleEndian) { bytes += $0 }
        }

        mutating func align(_ alignment: Int, before count: Int = 0) {
            while (bytes.count + count) % alignment != 0 { bytes.append(0) }
        }

        mutating func refer(from place: Int, to target: Int) {
            let offset = UInt32(target - place)
            for byte in 0..<4 { bytes[place + byte] = UInt8(truncatingIfNeeded: offset >> (8 * UInt32(byte))) }
        }

        /// Writes what an offset can refer to, and returns its position.
        mutating func write(_ value: FlatbufferValue) -> Int {
            switch value {
            case .text(let text): return write(Array(text.utf8), alignment: 4, terminated: true)
            // The contents of buffers are read as numbers of any kind.
            case .bytes(let content): return write(content, alignment: 16, terminated: false)
            case .numbers(let numbers):
                align(4)
                let position = bytes.count
                append(UInt32(numbers.count))
                for number in numbers { append(Int32(truncatingIfNeeded: number)) }
                return position
            case .tables(let tables): return write(tables)
            case .table(let fields): return write(fields)
            case .byte, .number, .wide: return bytes.count
            }
        }

        private mutating func write(_ content: [UInt8], alignment: Int, terminated: Bool) -> Int {
            align(alignment, before: 4)
            let position = bytes.count
            append(UInt32(content.count))
            bytes += content
            if terminated { bytes.append(0) }
            return position
        }

        private mutating func write(_ tables: [FlatbufferValue]) -> Int {
            align(4)
            let position = bytes.count
            append(UInt32(tables.count))
            let places = tables.map { _ in
                append(UInt32(0))
                return bytes.count - 4
            }
            for (place, table) in zip(places, tables) { refer(from: place, to: write(table)) }
            return position
        }

        private mutating func write(_ fields: [Int: FlatbufferValue]) -> Int {
            align(8)
            let directory = bytes.count
            let entries = (fields.keys.max() ?? -1) + 1
            let numbers = fields.keys.sorted()
            append(UInt16(4 + 2 * entries))
            append(UInt16(8 + 8 * numbers.count))
            for number in 0..<entries { append(UInt16(numbers.firstIndex(of: number).map { 8 + 8 * $0 } ?? 0)) }
            align(8)
            let position = bytes.count
            append(UInt32(position - directory))
            append(UInt32(0))
            for number in numbers { append(scalar(fields[number])) }
            for (index, number) in numbers.enumerated() {
                guard let value = fields[number], value.isReferred else { continue }
                refer(from: position + 8 + 8 * index, to: write(value))
            }
            return position
        }

        private func scalar(_ value: FlatbufferValue?) -> UInt64 {
            switch value {
            case .byte(let number): UInt64(number)
            case .number(let number): UInt64(UInt32(truncatingIfNeeded: number))
            case .wide(let number): number
            default: 0
            }
        }
    }

    private var isReferred: Bool {
        switch self {
        case .byte, .number, .wide: false
        default: true
        }
    }
}
