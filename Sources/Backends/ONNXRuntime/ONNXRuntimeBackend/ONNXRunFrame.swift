internal import BackendSupport
internal import CONNXRuntime
internal import Inference
internal import Synchronization
internal import Tensors

/// The engine's values for runs with one combination of small shapes, over buffers that stay: data is copied in and out, and
/// nothing is made for a run but its outputs.
///
/// Only for models whose output shapes follow from those of the inputs. Used by one run at a time.
final class ONNXRunFrame: @unchecked Sendable {
    /// Bytes of all inputs and outputs together. Copying more costs more than telling the engine where the data is.
    static let byteLimit = 8_192
    private static let alignment = 64
    /// Readable bytes after the last one, as tensors have them.
    private static let padding = 16

    private struct Place {
        let dataType: DataType
        let shape: Shape
        let bytes: UnsafeMutableRawBufferPointer
    }

    private let library: ONNXRuntimeLibrary
    /// Of the server's memory, as tensors are: the engine has not asked for it, and does not count it.
    private let base: UnsafeMutableRawPointer
    private let values: UnsafeMutableBufferPointer<OpaquePointer?>
    private var inputs: [Place] = []
    private var outputs: [Place] = []
    let options: ONNXRunOptions

    /// Whether the tensors of a run are such that a frame can take them. Asked after every run without one.
    static func suits(inputs: [Tensor], outputs: [Tensor?]) -> Bool {
        var size = 0
        func adds(_ tensor: Tensor?) -> Bool {
            guard let tensor, tensor.dataType != .string, tensor.byteCount > 0 else { return false }
            size &+= room(for: min(tensor.byteCount, byteLimit + 1))
            return size <= byteLimit
        }
        return inputs.allSatisfy(adds) && outputs.allSatisfy(adds)
    }

    /// For tensors that ``suits(inputs:outputs:)``; nil when there is no memory, or the engine refuses them.
    init?(_ library: ONNXRuntimeLibrary, inputs: [Tensor], outputs: [Tensor?]) {
        let tensors = inputs + outputs.compactMap(\.self)
        let size = tensors.reduce(0) { $0 + Self.room(for: $1.byteCount) }
        guard let options = try? ONNXRunOptions(library.api),
            let base = TensorAllocator.shared.allocate(size + Self.alignment)
        else { return nil }
        self.library = library
        self.options = options
        self.base = base
        let start = base + (-Int(bitPattern: base)) & (Self.alignment - 1)
        let block = UnsafeMutableRawBufferPointer(start: start, count: size)
        values = .allocate(capacity: tensors.count)
        values.initialize(repeating: nil)
        var offset = 0
        for (index, tensor) in tensors.enumerated() {
            let bytes = UnsafeMutableRawBufferPointer(rebasing: block[offset..<offset + tensor.byteCount])
            offset += Self.room(for: tensor.byteCount)
            let place = Place(dataType: tensor.dataType, shape: tensor.shape, bytes: bytes)
            if index < inputs.count { self.inputs.append(place) } else { self.outputs.append(place) }
            // From here on a failure runs `deinit`.
            guard let value = try? ONNXInputs.view(library, place.dataType, place.shape, UnsafeRawBufferPointer(bytes))
            else { return nil }
            values[index] = value
        }
    }

    deinit {
        for case let value? in values { Ort_ReleaseValue(library.api, value) }
        values.deallocate()
        TensorAllocator.shared.deallocate(base)
    }

    private static func room(for byteCount: Int) -> Int {
        (byteCount + padding + alignment - 1) & ~(alignment - 1)
    }

    /// Whether a run with these inputs can use the frame.
    func fits(_ tensors: [Tensor]) -> Bool {
        guard tensors.count == inputs.count else { return false }
        for index in inputs.indices {
            let tensor = tensors[index]
            guard tensor.dataType == inputs[index].dataType, tensor.shape == inputs[index].shape else { return false }
        }
        return true
    }

    /// Copies the inputs in, which must fit.
    func fill(_ tensors: [Tensor]) {
        for index in inputs.indices { tensors[index].withBytes { inputs[index].bytes.copyMemory(from: $0) } }
    }

    var inputValues: UnsafePointer<OpaquePointer?>? { UnsafePointer(values.baseAddress) }
    var outputValues: UnsafeMutablePointer<OpaquePointer?>? { values.baseAddress.map { $0 + inputs.count } }

    /// Copies the outputs of the run out.
    func results() throws(InferenceError) -> [Tensor?] {
        var tensors: [Tensor?] = []
        tensors.reserveCapacity(outputs.count)
        for output in outputs {
            do throws(TensorError) {
                tensors.append(
                    try Tensor(output.dataType, output.shape) {
                        $0.copyMemory(from: UnsafeRawBufferPointer(output.bytes))
                    })
            } catch {
                throw .tensorTooLarge
            }
        }
        return tensors
    }
}

/// The frames of one session that are not in use.
final class ONNXRunFrames: Sendable {
    private struct State {
        var idle: [ONNXRunFrame] = []
        /// What the last run without a frame was called with.
        var lastSignature: [Shape] = []
    }

    /// Combinations of shapes, and runs at the same time, that are served.
    private static let capacity = 8

    private let state = Mutex(State())

    /// A frame for these inputs, which the caller then has for itself.
    func take(fitting tensors: [Tensor]) -> ONNXRunFrame? {
        state.withLock { state in
            guard let index = state.idle.lastIndex(where: { $0.fits(tensors) }) else { return nil }
            if index < state.idle.count - 1 { state.idle.swapAt(index, state.idle.count - 1) }
            return state.idle.removeLast()
        }
    }

    /// To be called when the run can no longer be interrupted.
    func giveBack(_ frame: ONNXRunFrame) {
        frame.options.reset()
        let surplus = state.withLock { state in
            state.idle.append(frame)
            return state.idle.count > Self.capacity ? state.idle.removeFirst() : nil
        }
        _ = consume surplus
    }

    /// Notes a run without a frame: shapes that come twice in a row get one.
    func learn(_ library: ONNXRuntimeLibrary, inputs: [Tensor], outputs: [Tensor?]) {
        guard ONNXRunFrame.suits(inputs: inputs, outputs: outputs) else { return }
        let signature = inputs.map(\.shape)
        let isRepeated = state.withLock { state in
            if state.lastSignature == signature { return true }
            state.lastSignature = signature
            return false
        }
        guard isRepeated, let frame = ONNXRunFrame(library, inputs: inputs, outputs: outputs) else { return }
        giveBack(frame)
    }
}
