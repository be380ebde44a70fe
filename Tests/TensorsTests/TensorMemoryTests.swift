import Tensors
import TestSupport
import Testing

@Suite(.tensorGlobals) struct TensorAlignmentTests {
    private static let sizes = 0...4096

    @Test(arguments: [0, 16, 32, 48])
    func `bytes start at a multiple of 64, wherever blocks start`(offset: Int) throws {
        let allocator = RecordingAllocator(offset: offset)
        try allocator.use {
            let misaligned = try Self.sizes.filter { size in
                let tensor = try Tensor(.uint8, [size]) { $0.initializeMemory(as: UInt8.self, repeating: 1) }
                return !tensor.isAligned || tensor.byteCount != size
            }
            #expect(misaligned == [])
        }
        #expect(allocator.recorded.allocations >= Self.sizes.count)
        #expect(allocator.recorded.overruns == 0)
        #expect(allocator.recorded.bytesInUse == 0)
    }

    @Test(arguments: [0, 16, 32, 48])
    func `bytes are followed by more that can be read`(offset: Int) throws {
        let allocator = RecordingAllocator(offset: offset)
        try allocator.use {
            for size in Self.sizes {
                // Written here, so that the allocator sees whether they are the block's.
                _ = try Tensor(.uint8, [size]) { bytes in
                    let end = bytes.baseAddress.map { UnsafeMutableRawBufferPointer(start: $0 + size, count: 16) }
                    end?.initializeMemory(as: UInt8.self, repeating: 0)
                }
            }
        }
        #expect(allocator.recorded.overruns == 0)
    }

    @Test(arguments: [0, 16, 32, 48])
    func `zeros are zero and aligned, wherever blocks start`(offset: Int) throws {
        try RecordingAllocator(offset: offset).use {
            let wrong = try [0, 1, 15, 16, 63, 64, 65, 127, 128, 1000, 4096].filter { size in
                let tensor = try Tensor(zeros: .uint8, [size])
                return !tensor.isAligned || tensor.storedBytes.contains { $0 != 0 }
            }
            #expect(wrong == [])
        }
    }

    @Test func `the C library's blocks are aligned too`() throws {
        let misaligned = try Self.sizes.filter { try !Tensor(zeros: .uint8, [$0]).isAligned }
        #expect(misaligned == [])
    }

    @Test func `aligned blocks cost one allocation each`() throws {
        let allocator = RecordingAllocator()
        try allocator.use {
            for size in Self.sizes { _ = try Tensor(zeros: .uint8, [size]) }
        }
        #expect(allocator.recorded.allocations == Self.sizes.count)
    }
}

@Suite(.tensorGlobals) struct TensorAllocatorTests {
    /// One way to make a tensor.
    enum Making: CaseIterable {
        case zeros, blob, stringBlob, strings, initializer

        func callAsFunction() throws -> Tensor {
            switch self {
            case .zeros: try Tensor(zeros: .float, [100])
            case .blob: try makeTensor(.int64, Array(0..<Int64(100)))
            case .stringBlob: try makeTensor(.string, [2], bytes: Array("one\0two\0".utf8))
            case .strings: try makeTensor(strings: ["one", "two"])
            case .initializer: try Tensor(.double, [100]) { $0.initializeMemory(as: Double.self, repeating: 1) }
            }
        }
    }

    @Test(arguments: Making.allCases, [0, 16])
    func `every block is given back when the last reference goes`(making: Making, offset: Int) throws {
        let allocator = RecordingAllocator(offset: offset)
        try allocator.use {
            var tensor: Tensor? = try making()
            #expect(allocator.recorded.bytesInUse >= tensor?.byteCount ?? .max)
            tensor = nil
        }
        #expect(allocator.recorded.allocations > 0)
        #expect(allocator.recorded.releases == allocator.recorded.allocations)
        #expect(allocator.recorded.bytesInUse == 0)
        #expect(allocator.recorded.overruns == 0)
    }

    @Test(arguments: [0, 16])
    func `the block of a tensor that was never finished is given back`(offset: Int) {
        let allocator = RecordingAllocator(offset: offset)
        allocator.use {
            #expect(throws: TensorError.invalidValue) {
                try Tensor(.float, [8]) { _ throws(TensorError) in throw .invalidValue }
            }
        }
        #expect(allocator.recorded.allocations > 0)
        #expect(allocator.recorded.releases == allocator.recorded.allocations)
    }

    @Test(arguments: Making.allCases)
    func `no memory means that the size exceeds the limit`(making: Making) {
        RecordingAllocator(capacity: 0).use {
            #expect(throws: TensorError.sizeExceedsLimit) { try making() }
        }
    }

    @Test(arguments: Making.allCases)
    func `no memory for the larger block after a misaligned one means the same`(making: Making) {
        let allocator = RecordingAllocator(offset: 16, capacity: 1)
        allocator.use {
            #expect(throws: TensorError.sizeExceedsLimit) { try making() }
        }
        #expect(allocator.recorded.releases == 1)
    }

    @Test func `the footprint counts what the allocator says the block takes`() throws {
        let allocator = RecordingAllocator(offset: 16)
        try allocator.use {
            let tensor = try Tensor(zeros: .uint8, [1])
            #expect(tensor.footprint >= allocator.recorded.bytesInUse)
            #expect(tensor.footprint < allocator.recorded.bytesInUse + 1024)
        }
    }
}

extension Tensor {
    fileprivate var isAligned: Bool {
        withBytes { Int(bitPattern: $0.baseAddress) % 64 == 0 }
    }
}
