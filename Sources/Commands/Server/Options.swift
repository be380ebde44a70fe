internal import Glibc
internal import Inference
internal import Persistence
internal import RedisModuleKit
internal import Synchronization
internal import Tensors

/// What an operator can set. Numbers may stand on the load line (`NAME value`) or in the server's configuration file
/// (`ai.name value`); words and paths on the load line only.
enum Options {
    // Sizes the module shares with RedisAI 1.x.
    static let threadsPerQueue = NumericOption("THREADS_PER_QUEUE", default: 1, accepted: 1...1_024)
    static let intraOpParallelism = NumericOption("INTRA_OP_PARALLELISM", default: 0, accepted: 1...1_024)
    static let interOpParallelism = NumericOption("INTER_OP_PARALLELISM", default: 0, accepted: 1...1_024)
    static let modelExecutionTimeout = NumericOption(
        "MODEL_EXECUTION_TIMEOUT", default: 5_000, accepted: 1_000...Int(Int32.max))
    /// Megabytes of 1,000,000 bytes.
    static let backendMemoryLimit = NumericOption(
        "BACKEND_MEMORY_LIMIT", default: 0, accepted: 1...Int(Int32.max))

    /// Microseconds per round of the server's events.
    static let inlineExecutionBudget = NumericOption("INLINE_EXECUTION_BUDGET", default: 1_000, accepted: 0...100_000)

    // Limits that protect the server.
    static let maxTensorSize = NumericOption(
        "MAX_TENSOR_SIZE", default: 512 * 1024 * 1024, accepted: 1...(1 << 48))
    static let maxQueuedRequests = NumericOption("MAX_QUEUED_REQUESTS", default: 16_384, accepted: 1...(1 << 24))
    /// Bytes of inputs.
    static let maxQueuedBytes = NumericOption("MAX_QUEUED_BYTES", default: 1 << 30, accepted: 1...(1 << 48))
    static let maxPendingLoads = NumericOption("MAX_PENDING_LOADS", default: 1_024, accepted: 1...(1 << 20))
    static let maxDevices = NumericOption("MAX_DEVICES", default: 64, accepted: 1...1_024)
    static let loaderThreads = NumericOption("LOADER_THREADS", default: 2, accepted: 1...64)
    /// Milliseconds that building a model may take.
    static let modelLoadTimeout = NumericOption(
        "MODEL_LOAD_TIMEOUT", default: 60_000, accepted: 1_000...Int(Int32.max))

    static let numeric: [NumericOption] = [
        threadsPerQueue, intraOpParallelism, interOpParallelism, modelExecutionTimeout, backendMemoryLimit,
        modelChunkSize, maxTensorSize, maxQueuedRequests, maxQueuedBytes, maxPendingLoads, maxDevices, loaderThreads,
        modelLoadTimeout, inlineExecutionBudget,
    ]

    /// Whether map outputs of ONNX models are stored as tensors. Changed by AI.CONFIG ONNX_MAP_OUTPUTS.
    static let convertsMaps = Atomic(false)

    /// What the load line asks to be done once the engine runs.
    struct LoadLine {
        var backendsPath: String?
        var allowsForeignBackends = false
        var checksModels = true
        var allowsUnsafeOperations = false
        var usesTensorRT = false
        var access = AccessRules()
        /// Engines to load at once, with their library paths.
        var backends: [(description: BackendDescription, path: String)] = []
    }

    /// Sets `convertsMaps` from a word; false for an unknown one.
    static func setMapOutputs(_ word: Argument) -> Bool {
        guard word.matches("TENSOR") || word.matches("SKIP") else { return false }
        convertsMaps.store(word.matches("TENSOR"), ordering: .relaxed)
        return true
    }

    /// Applies one pair of the load line; false when the name or the value is not acceptable.
    static func apply(_ name: String, _ value: Argument, to line: inout LoadLine, _ registry: BackendRegistry) -> Bool {
        if let option = numeric.first(where: { $0.name == name }) {
            return value.integer.map(option.set) ?? false
        }
        if let backend = registry.description(named: name) {
            line.backends.append((backend, value.text))
            return true
        }
        if let isAccepted = line.access.apply(name, value) { return isAccepted }
        switch name {
        case "BACKENDSPATH":
            line.backendsPath = value.text
            return true
        case "ONNX_MAP_OUTPUTS":
            return setMapOutputs(value)
        case "ALLOW_FOREIGN_BACKENDS":
            return set(&line.allowsForeignBackends, value)
        case "ALLOW_UNSAFE_OPERATIONS":
            return set(&line.allowsUnsafeOperations, value)
        case "ONNX_TENSORRT":
            return set(&line.usesTensorRT, value)
        case "MODEL_CHECK":
            return set(&line.checksModels, value)
        default:
            return false
        }
    }

    /// Sets a switch from YES or NO; false for another word.
    private static func set(_ isOn: inout Bool, _ word: Argument) -> Bool {
        isOn = word.matches("YES")
        return word.matches("YES") || word.matches("NO")
    }

    /// All processors but one, which is left to the thread that serves clients: where engines keep all of them busy, it waits
    /// for milliseconds whenever it wakes up.
    private static var defaultIntraOpParallelism: Int { max(1, EngineSettings.processorCount - 1) }

    /// The engine's configuration as the options say.
    static func engineConfiguration(
        _ line: LoadLine, trustedBackendsPath: String?, modelCheckProgram: String?
    ) -> InferenceEngine.Configuration {
        var configuration = InferenceEngine.Configuration()
        configuration.threadsPerQueue = threadsPerQueue.value
        configuration.loaderThreads = loaderThreads.value
        configuration.queueLimit = maxQueuedRequests.value
        configuration.queueByteLimit = maxQueuedBytes.value
        configuration.deviceLimit = maxDevices.value
        configuration.loadLimit = maxPendingLoads.value
        configuration.runTimeout = modelExecutionTimeout.value
        configuration.inlineBudget = inlineExecutionBudget.value
        configuration.engineSettings.intraOpParallelism =
            intraOpParallelism.value == 0 ? defaultIntraOpParallelism : intraOpParallelism.value
        configuration.engineSettings.interOpParallelism = interOpParallelism.value
        configuration.engineSettings.memoryLimit = backendMemoryLimit.value * 1_000_000
        configuration.engineSettings.allowsUnsafeOperations = line.allowsUnsafeOperations
        configuration.engineSettings.usesTensorRT = line.usesTensorRT
        configuration.engineSettings.convertsMaps = { convertsMaps.load(ordering: .relaxed) }
        configuration.trustedBackendsPath = trustedBackendsPath
        configuration.allowedDigests = line.access.allowedDigests
        configuration.modelChecker = modelCheckProgram.map {
            ModelChecker(program: $0, timeout: modelLoadTimeout.value)
        }
        configuration.isShortOfMemory = { MemoryPressure.isHigh }
        configuration.log = { ServerLog.warning($0) }
        return configuration
    }
}
