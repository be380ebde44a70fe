internal import BackendSupport
internal import Inference
internal import Tensors

/// Strings in the form in which TensorFlow Lite holds them: their number, the offset of each and of the end (all 32 bits),
/// and their bytes one after the other.
enum LiteRTStrings {
    /// The bytes for a STRING tensor; nil when they are too many for 32 bits.
    static func encode(_ tensor: Tensor) -> [UInt8]? {
        let header = 4 * (tensor.elementCount + 2)
        let (size, overflowed) = header.addingReportingOverflow(tensor.byteCount - tensor.elementCount)
        guard !overflowed, size <= Int(Int32.max) else { return nil }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(size)
        append(tensor.elementCount, to: &bytes)
        var offset = header
        tensor.forEachString {
            append(offset, to: &bytes)
            offset += $0.count
        }
        append(offset, to: &bytes)
        tensor.forEachString { bytes.append(contentsOf: $0) }
        return bytes
    }

    private static func append(_ number: Int, to bytes: inout [UInt8]) {
        withUnsafeBytes(of: Int32(truncatingIfNeeded: number).littleEndian) { bytes.append(contentsOf: $0) }
    }

    /// A STRING tensor from what the engine wrote. Every number is checked: the engine's kernels calculate them.
    static func decode(_ bytes: UnsafeRawBufferPointer, _ shape: Shape) throws(InferenceError) -> Tensor {
        // An operator that failed, or never ran, may have left less than the numbers.
        let count = bytes.count >= 8 ? Int(number(bytes, 0)) : -1
        guard count == shape.elementCount, count >= 0, count <= bytes.count / 4 - 2 else { throw .cannotInvoke }
        for index in 0..<count {
            let (start, end) = range(bytes, index)
            guard start >= 0, start <= end, end <= bytes.count else { throw .cannotInvoke }
        }
        do throws(TensorError) {
            return try Tensor(strings: 0..<count, shape) { index, body in
                let (start, end) = range(bytes, index)
                body(UnsafeRawBufferPointer(rebasing: bytes[start..<end]))
            }
        } catch {
            throw error == .stringContainsNull ? .stringContainsNull : .tensorTooLarge
        }
    }

    private static func range(_ bytes: UnsafeRawBufferPointer, _ index: Int) -> (start: Int, end: Int) {
        (Int(number(bytes, index + 1)), Int(number(bytes, index + 2)))
    }

    private static func number(_ bytes: UnsafeRawBufferPointer, _ index: Int) -> Int32 {
        Int32(littleEndian: bytes.loadUnaligned(fromByteOffset: 4 * index, as: Int32.self))
    }
}

/// The STRING inputs of one run in the engine's form, for as long as it takes.
final class LiteRTStringInputs {
    private static let alignment = 64

    private var copies: [Int: UnsafeMutableRawBufferPointer] = [:]

    /// - Throws: `unsupportedInputType` for more bytes than the form can hold.
    init(_ inputs: [Tensor]) throws(InferenceError) {
        for (index, input) in inputs.enumerated() where input.dataType == .string {
            guard let bytes = LiteRTStrings.encode(input) else { throw .unsupportedInputType }
            let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: Self.alignment)
            copy.copyBytes(from: bytes)
            copies[index] = copy
        }
    }

    deinit {
        for copy in copies.values { copy.deallocate() }
    }

    /// What the engine is given of an input: its own bytes, which the engine does not write to, unless it is STRING.
    func bytes(of input: Tensor, at index: Int) -> UnsafeMutableRawBufferPointer {
        copies[index] ?? input.withBytes { UnsafeMutableRawBufferPointer(mutating: $0) }
    }
}
