internal import CONNXRuntime
internal import Glibc
internal import Inference
internal import Tensors

/// A model built by ONNX Runtime.
final class ONNXSession: LoadedModel, @unchecked Sendable {
    let inputNames: [String]
    let outputNames: [String]
    let memoryUsage: Int
    let costFollowsFromShapes: Bool
    var inputCount: Int { inputs.count }
    var outputCount: Int { outputs.count }

    private let library: ONNXRuntimeLibrary
    private let convertsMaps: @Sendable () -> Bool
    private let session: OpaquePointer
    private let inputs: ONNXNames
    private let outputs: ONNXNames
    private let runOptions = ONNXRunOptionsPool()
    private let frames = ONNXRunFrames()
    private let weights: ONNXWeightsCharge

    /// Parses and optimises a model. External data must have been ruled out.
    ///
    /// - Parameter uncountedBytes: what the engine will hold of `model` without asking its allocator.
    init(
        library: ONNXRuntimeLibrary, settings: EngineSettings, device: Device, model: UnsafeRawBufferPointer,
        uncountedBytes: Int
    ) throws(InferenceError) {
        let api = library.api
        costFollowsFromShapes = device.kind == .cpu && ONNXRunCost.followsFromShapes(model)
        weights = try ONNXWeightsCharge(library, bytes: uncountedBytes)
        let before = connx_allocator_thread_bytes()
        let options = try Self.makeOptions(library, settings, device)
        defer { Ort_ReleaseSessionOptions(api, options) }
        let session = try makeHandle(api) {
            Ort_CreateSessionFromArray(api, library.environment, model.baseAddress, model.count, options, $0)
        }
        do throws(InferenceError) {
            inputs = try ONNXNames(library, count: readNumber(api) { Ort_SessionGetInputCount(api, session, $0) }) {
                Ort_SessionGetInputName(api, session, $0, $1, $2)
            }
            outputs = try ONNXNames(library, count: readNumber(api) { Ort_SessionGetOutputCount(api, session, $0) }) {
                Ort_SessionGetOutputName(api, session, $0, $1, $2)
            }
        } catch {
            Ort_ReleaseSession(api, session)
            throw error
        }
        inputNames = inputs.strings
        outputNames = outputs.strings
        self.library = library
        self.session = session
        convertsMaps = settings.convertsMaps
        let counted = max(0, Int(connx_allocator_thread_bytes() - before))
        // Weights that the engine has repacked through its allocator are not kept a second time.
        weights.reduce(to: max(0, uncountedBytes - counted))
        memoryUsage = max(counted, uncountedBytes)
        // What building has let go of is not what runs will ask for.
        connx_allocator_trim(library.allocator)
    }

    deinit {
        Ort_ReleaseSession(library.api, session)
        connx_allocator_trim(library.allocator)
    }

    private static func makeOptions(
        _ library: ONNXRuntimeLibrary, _ settings: EngineSettings, _ device: Device
    ) throws(InferenceError) -> OpaquePointer {
        let api = library.api
        let options = try makeHandle(api) { Ort_CreateSessionOptions(api, $0) }
        do throws(InferenceError) {
            try check(api, Ort_DisablePerSessionThreads(api, options))
            try check(api, Ort_SetSessionLogSeverityLevel(api, options, ORT_LOG_FATAL))
            try check(api, Ort_SetSessionGraphOptimizationLevel(api, options, ORT_OPTIMIZE_ALL))
            let mode = settings.interOpParallelism > 1 ? ORT_EXECUTE_IN_PARALLEL : ORT_EXECUTE_SEQUENTIALLY
            try check(api, Ort_SetSessionExecutionMode(api, options, mode))
            try ONNXExecutionProvider.add(to: options, for: device, library, usesTensorRT: settings.usesTensorRT)
            // The allocator registered with the environment: memory is counted and limited.
            try check(api, Ort_AddSessionConfigEntry(api, options, "session.use_env_allocators", "1"))
            // The engine's threads look out for work while a run goes on, and sleep as soon as it has ended.
            try check(api, Ort_AddSessionConfigEntry(api, options, "session.force_spinning_stop", "1"))
            // Bytes that look like the library's own binary format are not to choose another parser.
            try check(api, Ort_AddSessionConfigEntry(api, options, "session.load_model_format", "ONNX"))
        } catch {
            Ort_ReleaseSessionOptions(api, options)
            throw error
        }
        return options
    }

    func run(_ tensors: [Tensor], watch: RunWatch) throws(InferenceError) -> [Tensor?] {
        // The original looked every name up through the allocator in each run; monitoring counts on that figure.
        connx_allocator_add_accesses(library.allocator, 2 * (inputs.count + outputs.count))
        guard costFollowsFromShapes else { return try runOnce(tensors, watch) }
        if let frame = frames.take(fitting: tensors), let results = try run(tensors, in: frame, watch) {
            return results
        }
        let results = try runOnce(tensors, watch)
        frames.learn(library, inputs: tensors, outputs: results)
        return results
    }

    /// Nil when the engine refuses: the frame is of no use, and the error another way's to find.
    private func run(
        _ tensors: [Tensor], in frame: ONNXRunFrame, _ watch: RunWatch
    ) throws(InferenceError) -> [Tensor?]? {
        frame.fill(tensors)
        let status = watch.during(frame.options) {
            Ort_Run(
                library.api, session, frame.options.handle, inputs.pointers, frame.inputValues, inputs.count,
                outputs.pointers, outputs.count, frame.outputValues)
        }
        if let status {
            if frame.options.isInterrupted { try check(library.api, status) }
            Ort_ReleaseStatus(library.api, status)
            return nil
        }
        // As if the engine had made the outputs and they had been released.
        connx_allocator_add_accesses(library.allocator, 2 * outputs.count)
        defer { frames.giveBack(frame) }
        return try frame.results()
    }

    private func runOnce(_ tensors: [Tensor], _ watch: RunWatch) throws(InferenceError) -> [Tensor?] {
        let api = library.api
        var values = try ONNXInputs(library, tensors)
        defer { values.release(api) }
        var results = ONNXOutputs(count: outputs.count)
        defer { results.release(api) }
        let options = try runOptions.take(api)
        defer { runOptions.giveBack(options) }
        let status = watch.during(options) {
            results.withPointers { results in
                values.withPointers { values in
                    Ort_Run(
                        api, session, options.handle, inputs.pointers, values, tensors.count, outputs.pointers,
                        outputs.count, results)
                }
            }
        }
        try check(api, status)
        return try results.tensors(library, convertingMaps: convertsMaps())
    }

    func warmUp(watch: RunWatch) {
        connx_allocator_set_counting(0)
        defer { connx_allocator_set_counting(1) }
        guard let tensors = try? ONNXWarmUp.inputs(library, session, count: inputs.count) else { return }
        _ = try? run(tensors, watch: watch)
    }
}

/// Weights that the engine holds past its allocator, counted for as long as the session lives.
private final class ONNXWeightsCharge: @unchecked Sendable {
    private let allocator: OpaquePointer
    private var bytes: Int

    init(_ library: ONNXRuntimeLibrary, bytes: Int) throws(InferenceError) {
        guard connx_allocator_charge(library.allocator, Int64(bytes)) != 0 else {
            throw InferenceError(
                "Exception during initialization: Onnxruntime memory limit exceeded, memory allocation failed.")
        }
        allocator = library.allocator
        self.bytes = bytes
    }

    deinit {
        reduce(to: 0)
    }

    func reduce(to remaining: Int) {
        _ = connx_allocator_charge(allocator, Int64(remaining - bytes))
        bytes = remaining
    }
}

/// The names of a session's inputs or outputs, as the engine wants them: fetched once, kept for the session's life.
final class ONNXNames: @unchecked Sendable {
    let count: Int
    let pointers: UnsafeMutablePointer<UnsafePointer<CChar>?>
    private let allocator: UnsafeMutablePointer<OrtAllocator>

    init(
        _ library: ONNXRuntimeLibrary, count: Int,
        fetch: (Int, UnsafeMutablePointer<OrtAllocator>, UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>)
            -> OpaquePointer?
    ) throws(InferenceError) {
        guard let allocator = connx_allocator_interface(library.allocator) else {
            throw InferenceError("ERR ONNXRuntime session was not allocated")
        }
        self.allocator = allocator
        self.count = count
        pointers = .allocate(capacity: max(1, count))
        pointers.initialize(repeating: nil, count: max(1, count))
        for index in 0..<count {
            var name: UnsafeMutablePointer<CChar>?
            // A throw from here on runs `deinit`: everything has been initialised.
            try check(library.api, fetch(index, allocator, &name))
            pointers[index] = UnsafePointer(name)
        }
    }

    deinit {
        for index in 0..<count {
            if let name = pointers[index] { allocator.pointee.Free?(allocator, UnsafeMutablePointer(mutating: name)) }
        }
        pointers.deallocate()
    }

    var strings: [String] {
        (0..<count).map { index in pointers[index].map { String(cString: $0) } ?? "" }
    }
}
