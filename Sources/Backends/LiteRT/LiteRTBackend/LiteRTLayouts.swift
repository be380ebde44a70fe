internal import CLiteRT
internal import Inference
internal import Tensors

/// Where the engine writes the shapes of outputs.
///
/// The engine writes as many dimensions as a tensor has, whether the place for them ends or not. A model of few bytes
/// cannot make up many dimensions, so there is room for what it can.
final class LiteRTLayouts: @unchecked Sendable {
    private static let room = 1 << 20

    let count: Int
    let start: UnsafeMutablePointer<LiteRtLayout>

    /// - Parameters:
    ///   - count: the number of outputs.
    ///   - modelBytes: the size of the model's file.
    init(count: Int, modelBytes: Int) {
        self.count = count
        let capacity = count + (Self.room + modelBytes) / MemoryLayout<LiteRtLayout>.stride
        start = .allocate(capacity: capacity)
        start.initialize(repeating: LiteRtLayout(), count: count)
    }

    deinit {
        start.deallocate()
    }

    /// What the engine has written.
    func shapes() throws(InferenceError) -> [Shape] {
        var shapes: [Shape] = []
        shapes.reserveCapacity(count)
        for index in 0..<count {
            guard let shape = start[index].shape else { throw .cannotAllocate }
            shapes.append(shape)
        }
        return shapes
    }
}
