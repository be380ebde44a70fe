internal import BackendSupport
internal import CLiteRT
internal import Glibc
internal import Inference
internal import Synchronization
internal import Tensors

/// A model compiled by LiteRT, with the memory of one run at a time.
final class LiteRTInstance: Interruptible, @unchecked Sendable {
    private let library: LiteRTLibrary
    private let graph: LiteRTGraph
    private let handle: OpaquePointer
    private let isInterrupted = Flag()
    private let layouts: LiteRTLayouts

    /// The shapes that the memory is laid out for; nil while it is not.
    private var inputShapes: [Shape]
    private var outputShapes: [Shape]?
    /// For small runs of these shapes; nil until the first, and for large ones.
    private var binding: LiteRTBinding?
    private var isBindingTried = false
    /// For outputs whose size is not known before they are there.
    private var scratch: [LiteRTScratch?]

    /// What the engine asks between two operators.
    private final class Flag: Sendable {
        let isSet = Atomic(false)
    }

    /// - Parameter model: must live as long as the instance.
    init(library: LiteRTLibrary, model: OpaquePointer, graph: LiteRTGraph, bytes: Int) throws(InferenceError) {
        self.library = library
        self.graph = graph
        inputShapes = graph.inputs.map(\.initial)
        scratch = Array(repeating: nil, count: graph.outputs.count)
        let options = try library.makeOptions()
        defer { library.functions.DestroyOptions(options) }
        var handle: OpaquePointer?
        guard
            library.functions.CreateCompiledModel(library.environment, model, options, &handle) == LITERT_OK,
            let handle
        else { throw .cannotConstruct }
        self.handle = handle
        layouts = LiteRTLayouts(count: graph.outputs.count, modelBytes: bytes)
        let context = Unmanaged.passUnretained(isInterrupted).toOpaque()
        // A throw from here on runs `deinit`: everything has been initialised.
        guard
            library.functions.SetCompiledModelCancellationFunction(
                handle, context,
                { context in
                    guard let context else { return false }
                    return Unmanaged<Flag>.fromOpaque(context).takeUnretainedValue().isSet.load(ordering: .relaxed)
                }) == LITERT_OK
        else { throw .cannotConstruct }
        try allocate()
    }

    deinit {
        library.functions.DestroyCompiledModel(handle)
    }

    func interrupt() {
        isInterrupted.isSet.store(true, ordering: .relaxed)
    }

    /// Forgets an interrupt that came too late. To be called when the run can no longer be interrupted.
    func reset() {
        isInterrupted.isSet.store(false, ordering: .relaxed)
    }

    /// Runs the model on inputs that have the right number and data types. After an error the instance must not be used
    /// again.
    func run(_ inputs: [Tensor], watch: RunWatch) throws(InferenceError) -> [Tensor?] {
        try resize(inputs)
        while true {
            do throws(InferenceError) {
                return try invoke(inputs, watch)
            } catch {
                guard error == .cannotInvoke, growScratch() else { throw error }
            }
        }
    }

    // MARK: Shapes

    /// Makes the engine ready for inputs of these shapes: nothing to do when they are those of the last run.
    private func resize(_ inputs: [Tensor]) throws(InferenceError) {
        for (index, input) in inputs.enumerated() where input.shape != inputShapes[index] {
            outputShapes = nil
            binding = nil
            isBindingTried = false
            try resize(index, to: input.shape)
            inputShapes[index] = input.shape
        }
        if outputShapes == nil { try readOutputShapes(allocating: true) }
    }

    private func resize(_ index: Int, to shape: Shape) throws(InferenceError) {
        var dimensions: [Int32] = []
        for position in 0..<shape.rank {
            guard let dimension = Int32(exactly: shape[position]), dimension > 0 else { throw .cannotResize }
            dimensions.append(dimension)
        }
        guard !dimensions.isEmpty, dimensions.count <= LITERT_MAX_RANK,
            library.functions.CompiledModelResizeInputTensorNonStrict(
                handle, graph.signature, index, dimensions, dimensions.count) == LITERT_OK
        else { throw .cannotResize }
    }

    /// Lays the memory out for the declared shapes. With free dimensions these are made up, and need not be possible.
    private func allocate() throws(InferenceError) {
        do throws(InferenceError) {
            try readOutputShapes(allocating: true)
        } catch {
            guard graph.inputs.contains(where: { $0.declared != $0.initial }) else { throw error }
        }
    }

    private func readOutputShapes(allocating: Bool) throws(InferenceError) {
        outputShapes = nil
        let shapes = try outputShapes(allocating: allocating)
        try checkSizes(shapes)
        outputShapes = shapes
    }

    private func outputShapes(allocating: Bool) throws(InferenceError) -> [Shape] {
        guard
            library.functions.GetCompiledModelOutputTensorLayouts(
                handle, graph.signature, layouts.count, layouts.start, allocating) == LITERT_OK
        else { throw .cannotAllocate }
        return try layouts.shapes()
    }

    /// Operators may give their results another type than the file says: the engine would write more than we take.
    private func checkSizes(_ shapes: [Shape]) throws(InferenceError) {
        for (index, output) in graph.outputs.enumerated() {
            guard let dataType = output.elementType.dataType, graph.hasKnownSize(output: index) else { continue }
            var requirements: OpaquePointer?
            var size = 0
            guard
                library.functions.GetCompiledModelOutputBufferRequirements(
                    handle, graph.signature, index, &requirements) == LITERT_OK,
                library.functions.GetTensorBufferRequirementsBufferSize(requirements, &size) == LITERT_OK
            else { throw .cannotAllocate }
            guard size == shapes[index].elementCount.map({ $0 &* dataType.elementSize }) else {
                throw .unsupportedOutputType
            }
        }
    }

    // MARK: Running

    private func invoke(_ inputs: [Tensor], _ watch: RunWatch) throws(InferenceError) -> [Tensor?] {
        let shapes = outputShapes ?? []
        if let binding = try binding(inputs, shapes) {
            binding.fill(inputs)
            try execute(watch, binding.withPointers)
            return try binding.tensors()
        }
        var inputBuffers = LiteRTBuffers(library.functions, capacity: inputs.count)
        var outputBuffers = LiteRTBuffers(library.functions, capacity: shapes.count)
        let strings = try LiteRTStringInputs(inputs)
        defer {
            inputBuffers.release()
            outputBuffers.release()
        }
        for (index, input) in inputs.enumerated() {
            try inputBuffers.append(input.dataType, input.shape, strings.bytes(of: input, at: index))
        }
        var outputs: [Tensor?] = []
        outputs.reserveCapacity(shapes.count)
        for index in shapes.indices {
            outputs.append(try appendOutput(index, shapes[index], inputs, outputs, &outputBuffers, inputBuffers))
        }
        try execute(watch) { body in
            inputBuffers.withPointers { inputCount, inputs in
                outputBuffers.withPointers { outputCount, outputs in body(inputCount, inputs, outputCount, outputs) }
            }
        }
        withExtendedLifetime((inputs, strings)) {}
        return try finish(outputs, shapes)
    }

    /// What a run gets: numbers of inputs and outputs, and where their buffers stand.
    private typealias Invocation = (
        Int, UnsafeMutablePointer<OpaquePointer?>?, Int, UnsafeMutablePointer<OpaquePointer?>?
    ) -> LiteRtStatus

    /// The memory for a small run; nil for others.
    private func binding(_ inputs: [Tensor], _ shapes: [Shape]) throws(InferenceError) -> LiteRTBinding? {
        guard !isBindingTried else { return binding }
        isBindingTried = true
        // Where the engine knows all sizes beforehand, and no output is an input.
        guard graph.costFollowsFromShapes else { return nil }
        var outputs: [(dataType: DataType, shape: Shape)] = []
        for (index, shape) in shapes.enumerated() {
            guard case .computed = graph.origins[index], let dataType = graph.outputs[index].elementType.dataType else {
                return nil
            }
            outputs.append((dataType, shape))
        }
        binding = try LiteRTBinding(library.functions, inputs: inputs, outputs: outputs)
        return binding
    }

    /// - Parameter withBuffers: calls what it is given with the buffers of the run.
    private func execute(
        _ watch: RunWatch, _ withBuffers: (Invocation) -> LiteRtStatus
    ) throws(InferenceError) {
        let status = watch.during(self) {
            withBuffers { inputCount, inputs, outputCount, outputs in
                library.functions.RunCompiledModel(handle, graph.signature, inputCount, inputs, outputCount, outputs)
            }
        }
        guard status != LITERT_OK else { return }
        if isInterrupted.isSet.load(ordering: .relaxed) { throw .interrupted }
        // How the engine says that it cannot write to memory of ours.
        throw errorMessages.contains("allocation_type") ? .dependsOnData : .cannotInvoke
    }

    private var errorMessages: String {
        var text: UnsafeMutablePointer<CChar>?
        guard library.functions.CompiledModelGetErrorMessages(handle, &text) == LITERT_OK, let text else { return "" }
        defer { free(text) }
        return String(cString: text)
    }

    /// Appends the memory for an output.
    ///
    /// - Returns: the tensor that the engine writes to; nil when it writes to scratch memory.
    private func appendOutput(
        _ index: Int, _ shape: Shape, _ inputs: [Tensor], _ earlier: [Tensor?], _ buffers: inout LiteRTBuffers,
        _ inputBuffers: LiteRTBuffers
    ) throws(InferenceError) -> Tensor? {
        guard let dataType = graph.outputs[index].elementType.dataType else { throw .unsupportedOutputType }
        switch graph.origins[index] {
        case .input(let input):
            buffers.append(sameAs: inputBuffers[input])
            return inputs[input]
        case .output(let output):
            buffers.append(sameAs: buffers[output])
            return earlier[output]
        case .computed: break
        }
        guard graph.hasKnownSize(output: index) else {
            try appendScratch(index, dataType, shape, &buffers)
            return nil
        }
        var place = UnsafeMutableRawBufferPointer(start: nil, count: 0)
        // The engine writes all of it before anybody else sees the tensor.
        guard let tensor = try? Tensor(dataType, shape, initializingWith: { place = $0 }) else { throw .tensorTooLarge }
        try buffers.append(dataType, shape, place)
        return tensor
    }

    private func appendScratch(
        _ index: Int, _ dataType: DataType, _ shape: Shape, _ buffers: inout LiteRTBuffers
    ) throws(InferenceError) {
        guard let memory = scratch[index] ?? LiteRTScratch() else { throw .cannotAllocate }
        scratch[index] = memory
        // No strings, should the engine write none.
        memory.bytes.storeBytes(of: 0, as: Int32.self)
        guard let count = shape.elementCount, count <= memory.bytes.count / 8 else { throw .cannotInvoke }
        try buffers.append(dataType, shape, memory.bytes)
    }

    /// Whether there is now more room for the outputs than before.
    private func growScratch() -> Bool {
        guard !isInterrupted.isSet.load(ordering: .relaxed) else { return false }
        var hasGrown = false
        for (index, memory) in scratch.enumerated() {
            guard let memory else { continue }
            guard let larger = memory.grown() else { return false }
            scratch[index] = larger
            hasGrown = true
        }
        return hasGrown
    }

    /// The outputs after the run, those in scratch memory as tensors of their own.
    private func finish(_ outputs: [Tensor?], _ expected: [Shape]) throws(InferenceError) -> [Tensor?] {
        let shapes = try outputShapes(allocating: false)
        for index in outputs.indices where graph.hasKnownSize(output: index) {
            guard shapes[index] == expected[index] else { throw .dependsOnData }
        }
        outputShapes = shapes
        var outputs = outputs
        for index in outputs.indices where outputs[index] == nil {
            if case .output(let earlier) = graph.origins[index] {
                outputs[index] = outputs[earlier]
            } else {
                outputs[index] = try scratchTensor(index, shapes[index])
            }
        }
        return outputs
    }

    private func scratchTensor(_ index: Int, _ shape: Shape) throws(InferenceError) -> Tensor {
        guard let memory = scratch[index], let dataType = graph.outputs[index].elementType.dataType else {
            throw .cannotInvoke
        }
        let bytes = UnsafeRawBufferPointer(memory.bytes)
        if dataType == .string {
            let tensor = try LiteRTStrings.decode(bytes, shape)
            memory.release(tensor.byteCount + 4 * tensor.elementCount)
            return tensor
        }
        guard let count = shape.elementCount, count <= bytes.count / dataType.elementSize else { throw .cannotInvoke }
        do throws(TensorError) {
            let tensor = try Tensor(dataType, shape) {
                $0.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[..<$0.count]))
            }
            if graph.outputs[index].varies { memory.release(tensor.byteCount) }
            return tensor
        } catch {
            throw .tensorTooLarge
        }
    }
}
