internal import Glibc
internal import Inference
internal import Persistence
public import RedisModuleKit
internal import Tensors

/// The module: everything that is registered with the server, and what happens over its life.
public enum Module {
    public static let name = "ai"
    /// major * 10000 + minor * 100 + patch, as MODULE LIST shows it.
    public static let versionNumber: Int32 = 2_00_00
    public static let version = "2.0.0"

    private static let commands: [Command] =
        [
            TensorSet.command, TensorGet.command,
            ModelStore.command, ModelStore.deprecatedCommand, ModelGet.command, Delete.modelCommand,
            ModelExecute.command, ModelExecute.deprecatedCommand, Scan.modelCommand,
            ScriptStore.command, ScriptStore.deprecatedCommand, ScriptGet.command, Delete.scriptCommand,
            ScriptExecute.command, ScriptExecute.deprecatedCommand, Scan.scriptCommand,
            RunInfo.command, Config.command,
        ] + DAGExecute.commands

    /// Makes the module part of the server: configuration first, then threads, then what clients can see.
    ///
    /// - Parameter folder: where the module's own file is, with engines and the program that tries models out.
    /// - Returns: false, with a line in the server's log, when the module cannot be loaded.
    public static func load(
        _ module: ModuleContext, _ arguments: LoadArguments, folder: String, gitSHA: String
    ) -> Bool {
        guard let refusal = start(module, arguments, folder, gitSHA) else { return true }
        ServerLog.warning(refusal)
        // The server is about to close the library: no thread may be left in it.
        if InferenceEngine.shared.stop() { ExitGuard.lift() }
        return false
    }

    /// Returns why the module cannot be loaded, or nil.
    private static func start(
        _ module: ModuleContext, _ arguments: LoadArguments, _ folder: String, _ gitSHA: String
    ) -> String? {
        let engine = InferenceEngine.shared
        guard module.register(Options.numeric) else { return "the configuration options were refused" }
        var line = Options.LoadLine()
        if let pair = arguments.forEachPair({ Options.apply($0, $1, to: &line, engine.registry) }) {
            return "ERR error processing argument: \(pair)"
        }
        ExitGuard.set()
        guard start(line, folder) else { return "the worker threads could not be started" }
        for (backend, path) in line.backends where !engine.loadBackend(backend, path: path) {
            return "ERR error processing argument: \(backend.name) \(path)"
        }
        return register(module, gitSHA) ? nil : "the server refused a command or data type"
    }

    private static func start(_ line: Options.LoadLine, _ folder: String) -> Bool {
        TensorAllocator.shared = TensorAllocator(
            allocate: ServerMemory.allocate, allocateZeroed: ServerMemory.allocateZeroed,
            deallocate: ServerMemory.deallocate, usableSize: ServerMemory.usableSize)
        BackgroundRelease.executor = { InferenceEngine.shared.inBackground($0) }
        BackgroundReply.executor = { InferenceEngine.shared.writeInBackground($0) }
        tensorSizeLimit = Options.maxTensorSize.value
        AccessRules.current = line.access
        let path = line.backendsPath ?? folder + "/backends"
        let configuration = Options.engineConfiguration(
            line, trustedBackendsPath: line.allowsForeignBackends ? nil : path,
            modelCheckProgram: line.checksModels ? findModelCheckProgram(in: folder) : nil)
        return InferenceEngine.shared.start(configuration, backendsPath: path)
    }

    private static func findModelCheckProgram(in folder: String) -> String? {
        let program = folder + "/redisai-model-check"
        if access(program, X_OK) == 0 { return program }
        ServerLog.warning("\(program) is not there: models will be loaded without being tried out first")
        return nil
    }

    private static func register(_ module: ModuleContext, _ gitSHA: String) -> Bool {
        guard TensorType.register(module), ModelType.register(module), ScriptType.register(module) else { return false }
        for command in commands {
            guard module.register(command) else { return false }
        }
        guard ACLCategories.register(module) else { return false }
        let hasInfo = module.onInfo { InfoSections(version: version, gitSHA: gitSHA).write(to: $0) }
        // Where the server has no such events, every request wakes a worker.
        _ = module.onRounds(
            begin: { InferenceEngine.shared.beginRound() },
            end: {
                // First: what the end of the round completes may have to be kept back.
                WritePause.update()
                InferenceEngine.shared.endRound()
            })
        let hasCron = module.onCron { InferenceEngine.shared.endOverdueRuns() }
        let hasShutdown = module.onShutdown {
            BackgroundServer.close()
            if InferenceEngine.shared.stop() {
                ExitGuard.lift()
            } else {
                ServerLog.warning("a model was still running at exit")
                ExitGuard.expectSuccess()
            }
        }
        return hasInfo && hasCron && hasShutdown
    }
}
