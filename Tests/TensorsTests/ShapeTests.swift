import Tensors
import Testing

@Suite struct ShapeTests {
    @Test(arguments: 0...20)
    func `keeps every dimension in order, inline or not`(rank: Int) {
        let dimensions = (0..<rank).map { $0 + 100 }
        let shape = Shape(dimensions)
        #expect(shape.rank == rank)
        #expect(shape.dimensions == dimensions)
        #expect((0..<rank).map { shape[$0] } == dimensions)
    }

    @Test func `a copy is not changed by appending to the original`() {
        var shape = Shape(1...9)
        let copy = shape
        shape.append(10)
        #expect(copy.dimensions == Array(1...9))
        #expect(shape.dimensions == Array(1...10))
    }

    @Test(arguments: [
        ([], 1), ([7], 7), ([2, 3, 4], 24), (Array(repeating: 2, count: 12), 4096),
        ([Int.max], Int.max), ([1 << 31, 1 << 31], 1 << 62),
    ])
    func `counts elements`(dimensions: [Int], count: Int) {
        #expect(Shape(dimensions).elementCount == count)
    }

    @Test(arguments: [[0], [0, 5], [5, 0], [0, Int.max], Array(repeating: 1, count: 9) + [0]])
    func `has no elements when a dimension is zero`(dimensions: [Int]) {
        #expect(Shape(dimensions).elementCount == 0)
    }

    @Test(arguments: [
        [1 << 32, 1 << 31], [Int.max, 2], [4_611_686_018_427_387_905, 4], [3, Int.max / 2],
        Array(repeating: 1 << 7, count: 9),
        // A zero does not excuse what engines would multiply all the same.
        [3, 0, Int.max], [Int.max, Int.max, 0],
    ])
    func `has no element count when that does not fit`(dimensions: [Int]) {
        #expect(Shape(dimensions).elementCount == nil)
    }

    @Test(arguments: [[-1], [2, -3], [-2, -3], [0, -1], [Int.min]])
    func `has no element count when a dimension is negative`(dimensions: [Int]) {
        #expect(Shape(dimensions).elementCount == nil)
    }

    @Test(arguments: [
        ([], []), ([4], [4]), ([1, 2], [1, 2]), (Array(1...8), Array(1...8)), (Array(1...9), Array(1...9)),
    ])
    func `equals a shape with the same dimensions`(left: [Int], right: [Int]) {
        #expect(Shape(left) == Shape(right))
    }

    @Test(arguments: [
        ([], [1]), ([4], [5]), ([1, 2], [2, 1]), ([2], [2, 1]), (Array(1...8), Array(1...9)),
        (Array(1...9), Array(1...8) + [10]),
    ])
    func `differs from a shape with other dimensions`(left: [Int], right: [Int]) {
        #expect(Shape(left) != Shape(right))
    }
}

@Suite struct ShapeRowsTests {
    @Test(arguments: [[5], [5, 2], Array(1...8), Array(1...9), Array(1...20)])
    func `another first dimension leaves the others`(dimensions: [Int]) {
        let shape = Shape(dimensions)
        #expect(shape.withFirst(77).dimensions == [77] + dimensions.dropFirst())
        #expect(shape.dimensions == dimensions)
        #expect(shape.withFirst(77).hasSameRows(as: shape))
    }

    @Test(arguments: [
        ([], []), ([], [1]), ([1], []), ([2], [2, 1]), ([2, 1], [2]), ([2, 3], [2, 4]), ([2, 3, 4], [2, 4, 3]),
        (Array(1...9), Array(1...8) + [10]),
    ])
    func `other dimensions, or none, are other rows`(left: [Int], right: [Int]) {
        #expect(!Shape(left).hasSameRows(as: Shape(right)))
    }
}
