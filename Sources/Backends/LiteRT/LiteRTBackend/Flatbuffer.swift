internal import Inference

/// Reads a flatbuffer without trusting it: every offset is checked before it is followed.
struct Flatbuffer {
    private let bytes: UnsafeRawBufferPointer
    /// Thrown for bytes that are no flatbuffer.
    private let malformed: InferenceError

    init(_ bytes: UnsafeRawBufferPointer, orThrow malformed: InferenceError) {
        self.bytes = bytes
        self.malformed = malformed
    }

    /// The table that the file starts with.
    ///
    /// - Parameter identifier: the four characters after the first offset.
    func root(identifier: StaticString) throws(InferenceError) -> Table {
        guard bytes.count >= 8, identifier.utf8CodeUnitCount == 4 else { throw malformed }
        for index in 0..<4 where bytes[4 + index] != identifier.utf8Start[index] { throw malformed }
        return try Table(self, at: target(of: 0))
    }

    /// The number at a position.
    fileprivate func number<Number: FixedWidthInteger & BitwiseCopyable>(
        at position: Int, as type: Number.Type = Number.self
    ) throws(InferenceError) -> Number {
        guard position >= 0, position <= bytes.count - MemoryLayout<Number>.size else { throw malformed }
        return Number(littleEndian: bytes.loadUnaligned(fromByteOffset: position, as: type))
    }

    /// Where the offset at a position points.
    fileprivate func target(of position: Int) throws(InferenceError) -> Int {
        // Both are below 2^33: the sum does not overflow.
        position + Int(try number(at: position, as: UInt32.self))
    }

    /// The start of the elements of the vector that the offset at a position points to, and their number.
    fileprivate func vector(
        at position: Int, elementSize: Int
    ) throws(InferenceError) -> (start: Int, count: Int) {
        let length = try target(of: position)
        let count = Int(try number(at: length, as: UInt32.self))
        guard count <= (bytes.count - length - 4) / elementSize else { throw malformed }
        return (length + 4, count)
    }

    /// One table: fields by number, absent where the writer left them out.
    struct Table {
        private let buffer: Flatbuffer
        private let position: Int
        private let directory: Int
        private let directorySize: Int

        fileprivate init(_ buffer: Flatbuffer, at position: Int) throws(InferenceError) {
            self.buffer = buffer
            self.position = position
            directory = position - Int(try buffer.number(at: position, as: Int32.self))
            directorySize = Int(try buffer.number(at: directory, as: UInt16.self))
            guard directorySize >= 4, directory <= buffer.bytes.count - directorySize else { throw buffer.malformed }
        }

        /// Where a field's content stands; nil when it is absent.
        private func place(_ field: Int) throws(InferenceError) -> Int? {
            let entry = 4 + 2 * field
            guard entry + 2 <= directorySize else { return nil }
            let offset = Int(try buffer.number(at: directory + entry, as: UInt16.self))
            return offset == 0 ? nil : position + offset
        }

        func number<Number: FixedWidthInteger & BitwiseCopyable>(
            _ field: Int, default value: Number
        ) throws(InferenceError) -> Number {
            guard let place = try place(field) else { return value }
            return try buffer.number(at: place)
        }

        /// Nil when the field is absent.
        func numbers<Number: FixedWidthInteger & BitwiseCopyable>(
            _ field: Int, of type: Number.Type
        ) throws(InferenceError) -> [Number]? {
            guard let place = try place(field) else { return nil }
            let (start, count) = try buffer.vector(at: place, elementSize: MemoryLayout<Number>.size)
            var numbers: [Number] = []
            numbers.reserveCapacity(count)
            for index in 0..<count { numbers.append(try buffer.number(at: start + index * MemoryLayout<Number>.size)) }
            return numbers
        }

        /// The length of a vector of bytes; 0 when the field is absent.
        func byteCount(_ field: Int) throws(InferenceError) -> Int {
            guard let place = try place(field) else { return 0 }
            return try buffer.vector(at: place, elementSize: 1).count
        }

        /// Empty when the field is absent; what is no UTF-8 is replaced.
        func text(_ field: Int) throws(InferenceError) -> String {
            String(decoding: try numbers(field, of: UInt8.self) ?? [], as: UTF8.self)
        }

        /// Where the object stands that an offset field refers to, from the start of the file; nil when the field is
        /// absent.
        func target(_ field: Int) throws(InferenceError) -> Int? {
            guard let place = try place(field) else { return nil }
            return try buffer.target(of: place)
        }

        /// Empty when the field is absent.
        func tables(_ field: Int) throws(InferenceError) -> Tables {
            guard let place = try place(field) else { return Tables(buffer, start: 0, count: 0) }
            let (start, count) = try buffer.vector(at: place, elementSize: 4)
            return Tables(buffer, start: start, count: count)
        }
    }

    /// A vector of tables.
    struct Tables {
        private let buffer: Flatbuffer
        private let start: Int
        let count: Int

        fileprivate init(_ buffer: Flatbuffer, start: Int, count: Int) {
            self.buffer = buffer
            self.start = start
            self.count = count
        }

        /// The table at an index that need not be in range.
        func table(_ index: Int) throws(InferenceError) -> Table {
            guard index >= 0, index < count else { throw buffer.malformed }
            return try Table(buffer, at: target(index))
        }

        /// Where the table at an index stands, from the start of the file. The index must be in range.
        func target(_ index: Int) throws(InferenceError) -> Int {
            try buffer.target(of: start + 4 * index)
        }
    }
}
