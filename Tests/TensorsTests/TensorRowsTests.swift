import Tensors
import TestSupport
import Testing

@Suite(.tensorGlobals) struct TensorRowsTests {
    private func rows(like tensor: Tensor, byteCapacity: Int = 64) throws -> TensorRows {
        try #require(TensorRows(like: tensor, byteCapacity: byteCapacity))
    }

    private func floats(_ elements: [Float], _ shape: Shape) throws -> Tensor {
        try makeTensor(.float, elements, shape)
    }

    @Test func `puts tensors one below the other`() throws {
        let first = try floats([1, 2, 3, 4], [2, 2])
        let rows = try rows(like: first)
        #expect(rows.append(first))
        try #expect(rows.append(floats([5, 6], [1, 2])))
        try #expect(rows.append(floats([], [0, 2])))
        let all = try #require(rows.takeTensor())
        #expect(all.shape == [3, 2])
        #expect(all.dataType == .float)
        #expect(all.elements(as: Float.self) == [1, 2, 3, 4, 5, 6])
    }

    @Test(arguments: [0, 1, 63, 64, 4096])
    func `grows as it must, from any capacity`(byteCapacity: Int) throws {
        let row = try floats([0, 0, 0], [1, 3])
        let rows = try rows(like: row, byteCapacity: byteCapacity)
        for number in 0..<1000 { try #expect(rows.append(floats([Float(number), 0, -1], [1, 3]))) }
        let all = try #require(rows.takeTensor())
        #expect(all.shape == [1000, 3])
        #expect(all.byteCount == 12_000)
        #expect(all.elements(as: Float.self) == (0..<1000).flatMap { [Float($0), 0, -1] })
    }

    @Test func `a tensor with other dimensions beyond eight is put below`() throws {
        let shape = Shape([2] + Array(repeating: 1, count: 9))
        let tensor = try floats([1, 2], shape)
        let rows = try rows(like: tensor)
        #expect(rows.append(tensor) && rows.append(tensor))
        #expect(rows.takeTensor()?.shape == shape.withFirst(4))
    }

    @Test func `strings keep their lengths`() throws {
        let first = try makeTensor(strings: ["", "long enough to need room"], [1, 2])
        let rows = try rows(like: first, byteCapacity: 1)
        #expect(rows.append(first))
        try #expect(rows.append(makeTensor(strings: ["é", "", "", "z"], [2, 2])))
        let all = try #require(rows.takeTensor())
        #expect(all.shape == [3, 2])
        #expect(all.strings == ["", "long enough to need room", "é", "", "", "z"])
    }

    @Test func `more than a tensor may have is refused, and what was there stays`() throws {
        let half = try Tensor(zeros: .uint8, [1, tensorSizeLimit / 2])
        let rows = try rows(like: half, byteCapacity: .max)
        #expect(rows.append(half) && rows.append(half))
        try #expect(!rows.append(makeTensor(.uint8, [UInt8(1)], [1, 1])))
        #expect(rows.takeTensor()?.shape == [2, tensorSizeLimit / 2])
    }

    @Test func `more rows than can be counted are refused`() throws {
        let empty = try Tensor(zeros: .float, [1 << 62, 0])
        let rows = try rows(like: empty)
        #expect(rows.append(empty))
        #expect(!rows.append(empty))
        #expect(rows.takeTensor()?.shape == [1 << 62, 0])
    }

    @Test func `as many rows as no shape has make no tensor`() throws {
        let empty = try Tensor(zeros: .float, [1 << 61, 2, 0])
        let rows = try rows(like: empty)
        #expect(rows.append(empty) && rows.append(empty))
        #expect(rows.takeTensor() == nil)
    }

    @Test func `taken once, it begins anew`() throws {
        let tensor = try floats([1, 2], [2])
        let rows = try rows(like: tensor)
        #expect(rows.append(tensor))
        let first = try #require(rows.takeTensor())
        #expect(rows.takeTensor()?.shape == [0])
        try #expect(rows.append(floats([3], [1])))
        #expect(rows.takeTensor()?.elements(as: Float.self) == [3])
        #expect(first.elements(as: Float.self) == [1, 2])
    }

    @Test func `a scalar has no rows`() throws {
        let scalar = try floats([1], [])
        #expect(TensorRows(like: scalar, byteCapacity: 64) == nil)
        #expect(scalar.split(rows: [1]) == nil)
        #expect(scalar.batchSize == 1)
    }

    @Test func `without memory nothing is appended, and nothing is lost`() throws {
        let allocator = RecordingAllocator(capacity: 1)
        let tensor = try floats(Array(repeating: 7, count: 100), [100])
        let rows = try allocator.use { try self.rows(like: tensor, byteCapacity: tensor.byteCount) }
        #expect(rows.append(tensor))
        let hasGrown = allocator.use { rows.append(tensor) }
        #expect(!hasGrown)
        #expect(rows.takeTensor()?.elements(as: Float.self) == Array(repeating: 7, count: 100))
        let others = allocator.use { TensorRows(like: tensor, byteCapacity: 1) }
        #expect(others == nil)
    }

    @Test func `memory that was outgrown is given back, and nobody writes beyond it`() throws {
        let allocator = RecordingAllocator()
        try allocator.use {
            let tensor = try floats(Array(repeating: 7, count: 33), [33])
            let rows = try rows(like: tensor, byteCapacity: 1)
            for _ in 0..<50 { #expect(rows.append(tensor)) }
            _ = rows.takeTensor()
        }
        #expect(allocator.recorded.bytesInUse == 0)
        #expect(allocator.recorded.overruns == 0)
    }
}

// MARK: The way back

@Suite(.tensorGlobals) struct TensorSplitTests {
    private let splits = [[3], [1, 2], [2, 1], [1, 1, 1], [0, 3, 0], [0, 1, 0, 0, 2]]

    @Test func `parts have their rows, in their order`() throws {
        let elements = (0..<6).map { Int32($0) }
        for counts in splits {
            let parts = try #require(try makeTensor(.int32, elements, [3, 2]).split(rows: counts))
            #expect(parts.map(\.shape.dimensions) == counts.map { [$0, 2] })
            #expect(parts.flatMap { $0.elements(as: Int32.self) } == elements)
        }
    }

    @Test func `parts begin and end where the strings do`() throws {
        let strings = ["", "a", "bc", "", "", "long"]
        for counts in splits {
            let parts = try #require(try makeTensor(strings: strings, [3, 2]).split(rows: counts))
            #expect(parts.map(\.shape.dimensions) == counts.map { [$0, 2] })
            #expect(parts.map(\.strings.count) == counts.map { $0 * 2 })
            #expect(parts.flatMap(\.strings) == strings)
            #expect(parts.allSatisfy { part in part.storedBytes.count { $0 == 0 } == part.elementCount })
        }
    }

    @Test(arguments: [
        [], [2], [4], [1, 1], [3, 1], [-1, 4], [4, -1], [.max, 1], [.max, .max, 5], [.min, 3], [.min, .min, 3],
    ])
    func `counts that are not those of all rows make no parts`(counts: [Int]) throws {
        try #expect(makeTensor(.int32, (0..<6).map { Int32($0) }, [3, 2]).split(rows: counts) == nil)
        try #expect(makeTensor(strings: ["", "a", "bc", "", "", "long"], [3, 2]).split(rows: counts) == nil)
    }

    @Test(arguments: [DataType.float, .string])
    func `rows without elements are rows`(dataType: DataType) throws {
        let tensor = try Tensor(zeros: dataType, [4, 0, 2])
        let parts = try #require(tensor.split(rows: [1, 2, 1]))
        #expect(parts.map(\.shape) == [[1, 0, 2], [2, 0, 2], [1, 0, 2]])
        #expect(parts.allSatisfy { $0.byteCount == 0 })
        #expect(tensor.split(rows: [5]) == nil)
        let huge = try Tensor(zeros: dataType, [Int.max, 0])
        #expect(huge.split(rows: [Int.max - 1, 1])?.map(\.shape) == [[Int.max - 1, 0], [1, 0]])
        #expect(huge.split(rows: [1, Int.max]) == nil)
        let none = try Tensor(zeros: dataType, [0, 3])
        #expect(none.split(rows: [])?.count == 0)
        #expect(none.split(rows: [0, 0])?.map(\.shape) == [[0, 3], [0, 3]])
    }

    @Test func `without memory there are no parts`() throws {
        let tensor = try makeTensor(.int32, (0..<6).map { Int32($0) }, [3, 2])
        let parts = RecordingAllocator(capacity: 1).use { tensor.split(rows: [1, 2]) }
        #expect(parts == nil)
    }

    @Test func `what was put together comes apart as it was`() throws {
        var random = SeededGenerator(1)
        for _ in 0..<200 {
            let parts = try (0..<Int.random(in: 1...6, using: &random)).map { _ in
                let count = Int.random(in: 0...3, using: &random)
                let strings = (0..<count * 2).map { _ in
                    String(repeating: "x", count: Int.random(in: 0...9, using: &random))
                }
                return try makeTensor(strings: strings, [count, 2])
            }
            let rows = try #require(TensorRows(like: parts[0], byteCapacity: 0))
            for part in parts { #expect(rows.append(part)) }
            let same = try #require(rows.takeTensor()?.split(rows: parts.map { $0.shape[0] }))
            #expect(same.map(\.shape) == parts.map(\.shape))
            #expect(same.map(\.storedBytes) == parts.map(\.storedBytes))
        }
    }
}
