internal import BackendSupport
internal import CLiteRT
internal import Inference
internal import Tensors

/// Memory for the inputs and outputs of small runs, known to the engine once and for all: describing memory anew in every run
/// costs more than copying a few kilobytes.
final class LiteRTBinding {
    /// Bytes of all inputs and outputs up to which copying is cheaper.
    private static let limit = 16 << 10
    private static let alignment = 64

    private let memory: UnsafeMutableRawPointer
    private let inputPlaces: [UnsafeMutableRawBufferPointer]
    private let outputPlaces: [UnsafeMutableRawBufferPointer]
    private var inputBuffers: LiteRTBuffers
    private var outputBuffers: LiteRTBuffers
    private let outputs: [(dataType: DataType, shape: Shape)]

    /// Nil for what is too large.
    init?(
        _ functions: CLiteRtFunctions, inputs: [Tensor], outputs: [(dataType: DataType, shape: Shape)]
    ) throws(InferenceError) {
        let outputSizes = outputs.map { $0.dataType.elementSize * ($0.shape.elementCount ?? Self.limit) }
        let sizes = inputs.map(\.byteCount) + outputSizes
        guard sizes.allSatisfy({ $0 <= Self.limit }) else { return nil }
        // An empty one has a place of its own, too.
        let strides = sizes.map { ($0 / Self.alignment + 1) * Self.alignment }
        let total = strides.reduce(0, +)
        guard total <= Self.limit else { return nil }
        memory = .allocate(byteCount: total, alignment: Self.alignment)
        memory.initializeMemory(as: UInt8.self, repeating: 0, count: total)
        var places: [UnsafeMutableRawBufferPointer] = []
        var position = 0
        for (size, stride) in zip(sizes, strides) {
            places.append(UnsafeMutableRawBufferPointer(start: memory + position, count: size))
            position += stride
        }
        inputPlaces = Array(places[..<inputs.count])
        outputPlaces = Array(places[inputs.count...])
        inputBuffers = LiteRTBuffers(functions, capacity: inputs.count)
        outputBuffers = LiteRTBuffers(functions, capacity: outputs.count)
        self.outputs = outputs
        // A throw from here on runs `deinit`: everything has been initialised.
        for (input, place) in zip(inputs, inputPlaces) { try inputBuffers.append(input.dataType, input.shape, place) }
        for (output, place) in zip(outputs, outputPlaces) {
            try outputBuffers.append(output.dataType, output.shape, place)
        }
    }

    deinit {
        inputBuffers.release()
        outputBuffers.release()
        memory.deallocate()
    }

    /// Copies the inputs, which have the shapes that the binding was made for.
    func fill(_ inputs: [Tensor]) {
        for (input, place) in zip(inputs, inputPlaces) { input.withBytes { place.copyMemory(from: $0) } }
    }

    func withPointers<Result>(
        _ body: (Int, UnsafeMutablePointer<OpaquePointer?>?, Int, UnsafeMutablePointer<OpaquePointer?>?) -> Result
    ) -> Result {
        inputBuffers.withPointers { inputCount, inputs in
            outputBuffers.withPointers { outputCount, outputs in body(inputCount, inputs, outputCount, outputs) }
        }
    }

    /// Copies of the outputs.
    func tensors() throws(InferenceError) -> [Tensor?] {
        var tensors: [Tensor?] = []
        tensors.reserveCapacity(outputs.count)
        for (output, place) in zip(outputs, outputPlaces) {
            do throws(TensorError) {
                tensors.append(
                    try Tensor(output.dataType, output.shape) { $0.copyMemory(from: UnsafeRawBufferPointer(place)) })
            } catch {
                throw .tensorTooLarge
            }
        }
        return tensors
    }
}
