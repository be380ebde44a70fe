/// The dimensions of a tensor, outermost first; none for a scalar.
///
/// Shapes of common rank live inline: making one allocates nothing.
public struct Shape: Sendable {
    /// The highest rank accepted from clients.
    public static let rankLimit = 64
    private static let inlineCapacity = 8

    private var inline = InlineArray<8, Int>(repeating: 0)
    /// All dimensions, when there are too many to live inline.
    private var overflow: [Int] = []
    public private(set) var rank = 0

    public init() {}

    public init(_ dimensions: some Sequence<Int>) {
        for dimension in dimensions { append(dimension) }
    }

    public mutating func append(_ dimension: Int) {
        if rank < Self.inlineCapacity {
            inline[rank] = dimension
        } else {
            if overflow.isEmpty { overflow = (0..<rank).map { inline[$0] } }
            overflow.append(dimension)
        }
        rank += 1
    }

    /// The dimension at `index`, which must be below ``rank``.
    public subscript(index: Int) -> Int {
        precondition(index >= 0 && index < rank)
        return overflow.isEmpty ? inline[index] : overflow[index]
    }

    public var dimensions: [Int] {
        overflow.isEmpty ? (0..<rank).map { inline[$0] } : overflow
    }

    /// The same shape with another dimension 0. The rank must not be zero.
    public func withFirst(_ dimension: Int) -> Shape {
        precondition(rank > 0)
        var shape = self
        shape.inline[0] = dimension
        if !overflow.isEmpty { shape.overflow[0] = dimension }
        return shape
    }

    /// Whether two shapes have the same rank, at least 1, and differ in dimension 0 at most.
    public func hasSameRows(as other: Shape) -> Bool {
        rank > 0 && rank == other.rank && (1..<rank).allSatisfy { self[$0] == other[$0] }
    }

    /// The product of the dimensions, 1 for a scalar; nil when a dimension is negative, or when the product of those that
    /// are not zero does not fit `Int`.
    public var elementCount: Int? {
        var count = 1
        var hasZero = false
        for index in 0..<rank {
            let dimension = self[index]
            guard dimension >= 0 else { return nil }
            if dimension == 0 {
                hasZero = true
                continue
            }
            let (product, overflowed) = count.multipliedReportingOverflow(by: dimension)
            guard !overflowed else { return nil }
            count = product
        }
        return hasZero ? 0 : count
    }
}

extension Shape: Equatable {
    public static func == (left: Shape, right: Shape) -> Bool {
        left.rank == right.rank && (0..<left.rank).allSatisfy { left[$0] == right[$0] }
    }
}

extension Shape: ExpressibleByArrayLiteral {
    public init(arrayLiteral elements: Int...) {
        self.init(elements)
    }
}
