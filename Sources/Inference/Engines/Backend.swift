internal import CLinux
public import Tensors

/// An inference engine whose library has been loaded.
public protocol Backend: AnyObject, Sendable {
    /// The engine's own version, such as `1.31.1`.
    var version: String { get }

    /// The engine's fields in the server's INFO, in order. `workers` is the number of threads that run models.
    func info(workers: Int) -> [(name: String, value: String)]

    /// Bytes that the engine has allocated at this moment, for models and runs together; nil when it allocates past us.
    var memoryInUse: Int? { get }

    /// Builds a model: parses, optimises and gets it ready to run. Called on a loader thread.
    func load(_ definition: ModelDefinition) throws(InferenceError) -> any LoadedModel
}

extension Backend {
    public var memoryInUse: Int? { nil }
}

/// An engine that also compiles scripts.
public protocol ScriptBackend: Backend {
    /// Compiles a script and checks its entry points. Called on a loader thread.
    func compile(_ definition: ScriptDefinition) throws(InferenceError) -> any LoadedScript
}

/// A script that is ready to run. Runs may go on in several threads at once.
public protocol LoadedScript: AnyObject, Sendable {
    /// Runs one function, in the calling thread.
    ///
    /// - Parameters:
    ///   - isEntryPoint: whether the function takes the tensors, keys and arguments as three lists; else its parameters
    ///     are filled from the tensors, by its signature.
    ///   - outputCount: tensors that are wanted; when 0, what the function returns is not looked at.
    ///   - host: what the script can ask for while it runs.
    ///   - watch: where the run announces itself while it can be interrupted.
    func run(
        _ call: ScriptCall, inputs: [Tensor], isEntryPoint: Bool, outputCount: Int, host: ScriptHost, watch: RunWatch
    ) throws(InferenceError) -> [Tensor?]
}

/// A model that is ready to run. Runs may go on in several threads at once.
public protocol LoadedModel: AnyObject, Sendable {
    var inputNames: [String] { get }
    var outputNames: [String] { get }
    /// How many there are, without their names.
    var inputCount: Int { get }
    var outputCount: Int { get }
    /// Bytes that the engine holds for the model, as far as it can tell.
    var memoryUsage: Int { get }
    /// Whether the shapes of the inputs determine what a run costs, whatever their values are. False when in doubt.
    var costFollowsFromShapes: Bool { get }

    /// Runs the model once, in the calling thread.
    ///
    /// - Parameters:
    ///   - inputs: as many tensors as there are input names, in their order.
    ///   - watch: where the run announces itself while it can be interrupted.
    /// - Returns: one tensor per output name; nil for an output that has no tensor form.
    func run(_ inputs: [Tensor], watch: RunWatch) throws(InferenceError) -> [Tensor?]

    /// Runs the model once on made-up inputs, so that the first client does not pay for what engines do lazily.
    /// Failures do not matter.
    func warmUp(watch: RunWatch)
}

extension LoadedModel {
    public var inputCount: Int { inputNames.count }
    public var outputCount: Int { outputNames.count }
    public var costFollowsFromShapes: Bool { false }
}

/// An engine as the module knows it before its library is loaded.
public struct BackendDescription: Sendable {
    /// The name in commands, such as `ONNX`.
    public let name: String
    /// The number in data files.
    public let id: Int
    /// The library under the backends folder, such as `redisai_onnxruntime/redisai_onnxruntime.so`.
    public let defaultPath: String
    public let names: NamesRule
    /// What clients get when a batch comes back with another number of rows than it went in.
    public let batchSizeError: InferenceError
    /// Opens the library at a path. Called once per process; nil for an engine that this build does not know how to
    /// drive.
    public let open: (@Sendable (_ path: String, _ settings: EngineSettings) throws(InferenceError) -> any Backend)?

    public init(
        name: String, id: Int, defaultPath: String, names: NamesRule,
        batchSizeError: InferenceError = .unexpectedBatchSize,
        open: (@Sendable (_ path: String, _ settings: EngineSettings) throws(InferenceError) -> any Backend)?
    ) {
        self.name = name
        self.id = id
        self.defaultPath = defaultPath
        self.names = names
        self.batchSizeError = batchSizeError
        self.open = open
    }

    /// Whether clients may name the inputs and outputs of a model.
    public var takesNames: Bool { if case .fromClient = names { true } else { false } }
}

/// Where the names of a model's inputs and outputs come from.
public enum NamesRule: Sendable {
    /// From the model's file; clients may not give any.
    case fromModel
    /// From the client, who must give them; except with a model whose first bytes make the function say that the file
    /// has names itself.
    case fromClient(unless: @Sendable (_ start: UnsafeRawBufferPointer) -> Bool = { _ in false })

    /// How many first bytes the function gets, unless the file is shorter: a header of any archive.
    public static let startSize = 512
}

/// What an engine must respect.
public struct EngineSettings: Sendable {
    /// Threads within one operator; 0 leaves it to the engine.
    public var intraOpParallelism = 0
    /// Threads across operators; 0 leaves it to the engine.
    public var interOpParallelism = 0
    /// Bytes that an engine may allocate on the CPU; 0 for no limit.
    public var memoryLimit = 0
    /// Whether models and scripts may hold operations that touch files, the network or other programs.
    public var allowsUnsafeOperations = false
    /// Whether outputs that are maps, or sequences of maps, are turned into tensors. Asked at every run.
    public var convertsMaps: @Sendable () -> Bool = { false }

    /// Whether ONNX models for a GPU are compiled by TensorRT, where the library has it: slow to load, fast to run.
    public var usesTensorRT = false

    public init() {}

    /// Processors that the process may use.
    public static var processorCount: Int { Int(linux_processor_count()) }
}
