import Tensors
import Testing

/// Gives the process an allocator that tests can look into, and a size limit that can be reached quickly.
///
/// Both are globals which must not change once tensors are made. Traits are prepared when the run is planned, before
/// the first test of the process starts: that is early enough.
struct TensorGlobals: SuiteTrait {
    static let sizeLimit = 4 * 1024 * 1024

    func prepare(for test: Test) {
        TensorAllocator.shared = RecordingAllocator.hooks
        tensorSizeLimit = Self.sizeLimit
    }
}

extension Trait where Self == TensorGlobals {
    static var tensorGlobals: Self { Self() }
}
