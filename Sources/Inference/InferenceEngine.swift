internal import Glibc
internal import Synchronization

/// The owner of everything that runs models: engines, models, device queues and loader threads.
public final class InferenceEngine: @unchecked Sendable {
    /// What is fixed when the engine starts.
    public struct Configuration: Sendable {
        public var threadsPerQueue = 1
        public var loaderThreads = 2
        /// Requests that may wait in one device queue, or for one artifact to be loaded.
        public var queueLimit = 16_384
        /// Bytes of inputs that may wait in one device queue.
        public var queueByteLimit = Int.max
        /// Device queues that clients may create.
        public var deviceLimit = 64
        /// Models that clients may have waiting for a loader thread.
        public var loadLimit = 1_024
        /// Milliseconds after which a run is interrupted, by engines that can.
        public var runTimeout = 5_000
        /// Microseconds per round of the server's events that the main thread may spend on running models itself; 0 for none.
        public var inlineBudget = 0
        public var engineSettings = EngineSettings()
        /// The only folder from which clients may have engine libraries loaded; nil for any folder.
        public var trustedBackendsPath: String?
        /// Tries models out before they are loaded; nil to load them untried.
        public var modelChecker: ModelChecker?
        /// What may be built; nil for everything.
        public var allowedDigests: DigestList?
        /// Whether memory that is given back should be back at once. Asked in whatever thread gives some back.
        public var isShortOfMemory: @Sendable () -> Bool = { false }
        /// Receives lines for the operator.
        public var log: @Sendable (String) -> Void = { _ in }

        public init() {}
    }

    public let registry: BackendRegistry
    public let directory = ArtifactDirectory()
    private let clock: MonotonicClock
    /// Builds models, at low priority: serving goes first.
    private let loader: BackgroundThreads
    /// Opens engines and gives the memory of models back, at normal priority.
    private let housekeeper: BackgroundThreads
    /// Writes large replies. Not the housekeeper's work: clients must not be able to hold up what it does.
    private let replyWriter: BackgroundThreads
    private let queues = Mutex<[String: DeviceQueue]>([:])
    /// Engines whose absence the operator has been told of.
    private let reportedEngines = Mutex<Set<String>>([])
    private let awaitedEngines = AwaitedEngines()
    private let brokenReports: BrokenReports
    private let passedTrials = PassedTrials()
    /// Where relative library paths start.
    private let backendsPath = Mutex("")

    /// Whether the server is in a round of events, at whose end ``endRound()`` will wake workers: once for all requests of the
    /// round, and not by each. Main thread only.
    private var isInRound = false
    /// Queues to which steps have been added since workers were last woken. Main thread only.
    private var sleepingQueues: [DeviceQueue] = []

    /// Runs that are not worth handing over. Made by `start`.
    private var inline: InlineExecution

    /// Written by `start` only.
    public private(set) var configuration = Configuration()

    public init(backends: [BackendDescription], clock: MonotonicClock = .system) {
        registry = BackendRegistry(backends)
        loader = BackgroundThreads(name: "loader", priority: .low, clock: clock)
        housekeeper = BackgroundThreads(name: "keeper", priority: .normal, clock: clock)
        replyWriter = BackgroundThreads(name: "replies", priority: .normal, clock: clock)
        inline = InlineExecution(clock: clock, budget: 0)
        brokenReports = BrokenReports(clock: clock)
        self.clock = clock
    }

    /// Starts the background threads and the CPU's queue. Called once, before anything else; false when the system has
    /// no threads to give.
    public func start(_ configuration: Configuration, backendsPath path: String) -> Bool {
        self.configuration = configuration
        inline = InlineExecution(clock: clock, budget: configuration.inlineBudget * 1_000)
        backendsPath.withLock { $0 = path }
        return loader.start(threads: configuration.loaderThreads) && housekeeper.start(threads: 1)
            && replyWriter.start(threads: 1) && (try? queue(for: "CPU")) != nil
    }

    /// The engine of the process. The server's callbacks cannot carry one along, so it is found here. Set once, before
    /// the first callback.
    nonisolated(unsafe) public static var shared = InferenceEngine(backends: [])

    /// Ends all threads, runs included, within a few seconds. Returns whether all of them ended.
    public func stop() -> Bool {
        let queues = queues.withLock { Array($0.values) }
        let results =
            queues.map { $0.stop(withinSeconds: 5) } + [
                loader.stop(withinSeconds: 5), housekeeper.stop(withinSeconds: 5),
                replyWriter.stop(withinSeconds: 5),
            ]
        return results.allSatisfy { $0 }
    }

    /// Interrupts runs that have lasted too long, gives up on those that do not react, and ends requests that have waited too
    /// long. To be called several times a second.
    public func endOverdueRuns() {
        let limit = configuration.runTimeout * 1_000_000
        for queue in queues.withLock({ Array($0.values) }) {
            queue.interruptRuns(olderThan: limit)
            queue.abandonRuns(olderThan: 2 * limit)
            queue.sweep()
        }
        loader.interruptRuns(olderThan: limit)
    }
}

// MARK: Engines

extension InferenceEngine {
    public var currentBackendsPath: String {
        get { backendsPath.withLock { $0 } }
        set { backendsPath.withLock { $0 = newValue } }
    }

    /// The file that a library path given by a client or an operator means.
    public func resolveLibraryPath(_ path: String) -> String {
        path.hasPrefix("/") ? path : currentBackendsPath + "/" + path
    }

    /// Loads an engine from the library that an operator named, in the calling thread. False, with a line in the log, when
    /// it cannot be, or is loaded already.
    public func loadBackend(_ description: BackendDescription, path: String) -> Bool {
        let path = resolveLibraryPath(path)
        do throws(InferenceError) {
            try registry.load(description, path: path, settings: configuration.engineSettings)
            rebuild(awaiting: description)
            return true
        } catch {
            configuration.log("the \(description.name) engine could not be loaded from \(path): \(error.message)")
            return false
        }
    }

    /// As ``loadBackend(_:path:)`` for a path that a client had its hand in: only from the trusted folder.
    public func loadBackend(_ description: BackendDescription, untrustedPath path: String) -> Bool {
        isTrusted(resolveLibraryPath(path)) && loadBackend(description, path: path)
    }

    /// As ``loadBackend(_:untrustedPath:)``, in another thread, which then tells `completion` the result.
    public func loadBackend(
        _ description: BackendDescription, untrustedPath path: String,
        completion: @escaping @Sendable (Bool) -> Void
    ) {
        housekeeper.submit { [unowned self] _ in completion(loadBackend(description, untrustedPath: path)) }
    }

    private func isTrusted(_ path: String) -> Bool {
        guard let root = configuration.trustedBackendsPath else { return true }
        guard let root = canonicalPath(root), let path = canonicalPath(path) else { return false }
        return path.hasPrefix(root.hasSuffix("/") ? root : root + "/")
    }

    /// The engine, loaded from its default place if it has not been. Takes long the first time: loader threads only.
    private func backend(_ description: BackendDescription) throws(InferenceError) -> any Backend {
        if let backend = registry.loadedBackend(description) { return backend }
        // Not here: an engine's threads inherit the priority of the thread that makes them.
        _ = housekeeper.value { [unowned self] in loadDefault(description) }
        guard let backend = registry.loadedBackend(description) else { throw .couldNotLoadBackend }
        return backend
    }

    private func loadDefault(_ description: BackendDescription) {
        guard registry.loadedBackend(description) == nil else { return }
        let path = resolveLibraryPath(description.defaultPath)
        let problem: InferenceError
        do throws(InferenceError) {
            guard isTrusted(path) else { throw InferenceError("the file is outside the trusted folder") }
            try registry.load(description, path: path, settings: configuration.engineSettings)
            return rebuild(awaiting: description)
        } catch {
            problem = error
        }
        reportMissing(description, problem.message)
    }

    /// Tells the operator where an engine was looked for and how to get it: once, since clients can ask for it as often
    /// as they like.
    private func reportMissing(_ description: BackendDescription, _ problem: String) {
        guard reportedEngines.withLock({ $0.insert(description.name).inserted }) else { return }
        configuration.log(
            "the \(description.name) engine was asked for and could not be loaded from "
                + "\(resolveLibraryPath(description.defaultPath)): \(problem); "
                + "`make engines ENGINES=\(description.name.lowercased())` in the module's sources fetches it")
    }
}

/// The path without links and dots; nil when there is no such file.
private func canonicalPath(_ path: String) -> String? {
    guard let resolved = realpath(path, nil) else { return nil }
    defer { free(resolved) }
    return String(cString: resolved)
}

// MARK: Models and scripts

extension InferenceEngine {
    /// Makes a model and has it loaded in the background. `completion` is told in a loader thread when it is ready or
    /// broken. The model is not listed in the directory before it is added there.
    public func makeModel(
        _ definition: ModelDefinition, completion: (@Sendable () -> Void)? = nil
    ) -> Model {
        let model = Model(definition) { [unowned self] in retire($0) }
        if let completion { model.whenLoaded(completion) }
        load(
            definition.identity, into: model.readiness, isReported: completion == nil,
            build: { [unowned self] watch throws(InferenceError) in try build(definition, watch) })
        return model
    }

    /// As ``makeModel(_:completion:)``, for a script.
    public func makeScript(
        _ definition: ScriptDefinition, completion: (@Sendable () -> Void)? = nil
    ) -> Script {
        let script = Script(definition) { [unowned self] in retire($0) }
        if let completion { script.whenLoaded(completion) }
        load(
            definition.identity, into: script.readiness, isReported: completion == nil,
            build: { [unowned self] _ throws(InferenceError) in try build(definition) })
        return script
    }

    /// Has an artifact built by a loader thread. The job does not keep the artifact: one that is deleted meanwhile goes at
    /// once.
    ///
    /// - Parameter isReported: whether the log is to say why the artifact is broken: there is no client to be told.
    private func load<Loaded: Sendable>(
        _ identity: ArtifactIdentity, into readiness: Readiness<Loaded>, isReported: Bool,
        build: @escaping @Sendable (RunWatch) throws(InferenceError) -> (Loaded, DeviceQueue)
    ) {
        loader.submit(
            BackgroundThreads.Job(
                isWanted: { !readiness.isAbandoned },
                run: { [unowned self] watch in
                    let result = Result { () throws(InferenceError) in try build(watch) }
                    var failure: InferenceError?
                    if case .failure(let error) = result { failure = error }
                    let waiters = readiness.finish(consume result)
                    // First: those who are told may have the engine loaded.
                    if let failure {
                        if isReported { brokenReports.report(identity, failure, to: configuration.log) }
                        awaitEngine(of: identity, after: failure, for: readiness) { [unowned self] in
                            load(identity, into: readiness, isReported: isReported, build: build)
                        }
                    }
                    for waiter in waiters { waiter() }
                }))
    }

    /// Has `rebuild` called when the engine comes, if an artifact is broken for want of it.
    private func awaitEngine<Loaded: Sendable>(
        of identity: ArtifactIdentity, after failure: InferenceError, for readiness: Readiness<Loaded>,
        _ rebuild: @escaping @Sendable () -> Void
    ) {
        let backend = identity.backend
        guard failure == .couldNotLoadBackend, registry.description(named: backend.name)?.open != nil,
            !isWithoutScripts(identity)
        else { return }
        awaitedEngines.add(readiness, of: backend) { if readiness.restart() { rebuild() } }
        // The artifact may have gone, and the engine may have come, before there was an entry to be found.
        if readiness.isAbandoned { awaitedEngines.remove(ObjectIdentifier(readiness)) }
        if registry.loadedBackend(backend) != nil { self.rebuild(awaiting: backend) }
    }

    /// Whether it is a script for an engine that is there, and will never have scripts.
    private func isWithoutScripts(_ identity: ArtifactIdentity) -> Bool {
        guard identity.kind == .script, let backend = registry.loadedBackend(identity.backend) else { return false }
        return !(backend is any ScriptBackend)
    }

    /// The engine has come: builds what is broken for want of it.
    private func rebuild(awaiting backend: BackendDescription) {
        for rebuild in awaitedEngines.take(backend) { rebuild() }
    }

    /// Refuses at once what need not be tried: an artifact for an engine that is not there, or a further one while too
    /// many wait to be loaded.
    public func checkCanLoad(_ identity: ArtifactIdentity) throws(InferenceError) {
        let path = resolveLibraryPath(identity.backend.defaultPath)
        guard registry.loadedBackend(identity.backend) != nil || access(path, R_OK) == 0 else {
            reportMissing(identity.backend, "there is no such file")
            throw .couldNotLoadBackend
        }
        let limit = configuration.loadLimit
        if loader.depth < limit { return }
        // An append-only file, read back, has brought every model that a key ever held.
        loader.dropUnwanted()
        guard loader.depth < limit else { throw .tooManyLoads(limit: limit) }
    }

    private func build(
        _ definition: ModelDefinition, _ watch: RunWatch
    ) throws(InferenceError) -> (any LoadedModel, DeviceQueue) {
        try configuration.allowedDigests?.check(definition.blob)
        let backend = try backend(definition.backend)
        try tryOut(
            definition.identity, definition.blob, inputNames: definition.inputNames,
            outputNames: definition.outputNames)
        let loaded = try backend.load(definition)
        loaded.warmUp(watch: watch)
        return (loaded, try queue(for: definition.device.queueName))
    }

    private func build(_ definition: ScriptDefinition) throws(InferenceError) -> (any LoadedScript, DeviceQueue) {
        let source = ModelBlob([ByteArray(definition.source)])
        try configuration.allowedDigests?.check(source)
        guard let backend = try backend(definition.identity.backend) as? any ScriptBackend else {
            throw .couldNotLoadBackend
        }
        try tryOut(definition.identity, source, inputNames: definition.entryPoints)
        return (try backend.compile(definition), try queue(for: definition.identity.device.queueName))
    }

    /// Has another process load the artifact first, if so configured, and if it has not loaded the same before.
    private func tryOut(
        _ identity: ArtifactIdentity, _ content: ModelBlob, inputNames: [String], outputNames: [String] = []
    ) throws(InferenceError) {
        guard let checker = configuration.modelChecker, let library = registry.libraryPath(identity.backend) else {
            return
        }
        let request = ModelCheckRequest(
            identity, library: library, timeout: checker.timeout, settings: configuration.engineSettings,
            inputNames: inputNames, outputNames: outputNames)
        let fingerprint = PassedTrials.Fingerprint(request, content)
        guard !passedTrials.contains(fingerprint) else { return }
        try checker.check(request, content)
        passedTrials.insert(fingerprint)
    }

    /// The last reference to an artifact has gone: forget its name, and give its memory back where nobody waits. What the
    /// server counts as its own goes at once when that is what it waits for.
    private func retire(_ artifact: RetiredArtifact) {
        directory.remove(artifact)
        awaitedEngines.remove(artifact.progress)
        if configuration.isShortOfMemory() { artifact.releaseContent() }
        housekeeper.submit { _ in artifact.release() }
    }

    /// Calls `body` in another thread when the memory of all artifacts that have gone so far has been given back.
    public func whenReclaimed(_ body: @escaping @Sendable () -> Void) {
        inBackground(body)
    }

    /// Runs `body` in another thread, after everything that was handed over before.
    public func inBackground(_ body: @escaping @Sendable () -> Void) {
        housekeeper.submit { _ in body() }
    }

    /// Runs `body`, which writes a large reply, in another thread: one such reply after the other.
    public func writeInBackground(_ body: @escaping @Sendable () -> Void) {
        replyWriter.submit { _ in body() }
    }
}

// MARK: Execution

extension InferenceEngine: InferenceRequest.Dispatcher {
    /// Begins with a request; its receiver is told when it has ended, which may be at once. Main thread only, unless
    /// there are no rounds.
    public func submit(_ request: InferenceRequest) {
        request.start(self)
    }

    /// Passes a step on to the queue of its device. One for an artifact that is still loading is queued when that is ready.
    func dispatch(_ step: ReadyStep, from origin: StepOrigin) {
        guard let artifact = step.artifact else { return }
        if let queue = artifact.readyQueue { return enqueue(step, queue, from: origin) }
        let limit = configuration.queueLimit
        guard artifact.waiterCount < limit else {
            return step.refuse(.queueIsFull(artifact.identity.device.queueName, requestLimit: limit))
        }
        artifact.whenLoaded { [unowned self] in
            guard let artifact = step.artifact else { return }
            if let queue = artifact.readyQueue {
                enqueue(step, queue, from: .loading)
            } else {
                step.refuse(artifact.brokenError)
            }
        }
    }

    private func enqueue(_ step: ReadyStep, _ queue: DeviceQueue, from origin: StepOrigin) {
        let isDeferred = origin.isClient && isInRound
        do throws(InferenceError) {
            try queue.submit(step, from: origin, wakesWorkers: !isDeferred)
        } catch {
            return step.refuse(error)
        }
        if isDeferred, !sleepingQueues.contains(where: { $0 === queue }) { sleepingQueues.append(queue) }
    }

    /// Whether ``carryOutInline(_:)`` would run a model for `plan`. Main thread only.
    func acceptsInline(_ plan: RequestPlan) -> Bool { inline.run(of: plan) != nil }

    /// Carries `plan` out in the calling thread if that is cheaper than handing it over; nil, and nothing done, when it is to
    /// be submitted as a request. Main thread only.
    public func carryOutInline(_ plan: inout RequestPlan) -> InferenceRequest.Outcome? {
        inline.carryOut(&plan)
    }

    /// A round of the server's events begins: ``endRound()`` is to follow. Main thread only.
    public func beginRound() {
        isInRound = true
    }

    /// Runs what has gathered in this round and is cheap, and wakes the workers for everything else. Main thread only.
    public func endRound() {
        isInRound = false
        if !sleepingQueues.isEmpty {
            for queue in sleepingQueues {
                inline.runBatches(in: queue)
                queue.wakeWorkers()
            }
            sleepingQueues.removeAll(keepingCapacity: true)
        }
        inline.renewBudget()
    }

    /// The queue of a device, made when it is first needed.
    private func queue(for name: String) throws(InferenceError) -> DeviceQueue {
        let queue = queues.withLock { queues -> DeviceQueue? in
            if let queue = queues[name] { return queue }
            guard queues.count < configuration.deviceLimit else { return nil }
            let queue = DeviceQueue(
                name: name, threads: configuration.threadsPerQueue,
                limits: DeviceQueue.Limits(requests: configuration.queueLimit, bytes: configuration.queueByteLimit),
                clock: clock)
            queues[name] = queue
            return queue
        }
        guard let queue else { throw .couldNotCreateQueue }
        return queue
    }
}

// MARK: Observation

extension InferenceEngine {
    /// A device queue as INFO shows it.
    public struct QueueStatus: Sendable {
        public let name: String
        /// Requests that wait for a worker, and the bytes of their inputs.
        public let waitingRequests: Int
        public let waitingBytes: Int
        public let counters: DeviceQueue.Counters
        /// Nanoseconds of processor time per worker; nil where unknown.
        public let processorTimes: [Int?]
    }

    /// All queues, the CPU's first, then by name.
    public var queueStatus: [QueueStatus] {
        queues.withLock { Array($0.values) }
            .sorted { ($0.name == "CPU" ? "" : $0.name) < ($1.name == "CPU" ? "" : $1.name) }
            .map { queue in
                let depth = queue.depth
                return QueueStatus(
                    name: queue.name, waitingRequests: depth.steps, waitingBytes: depth.bytes,
                    counters: queue.counters, processorTimes: queue.processorTimes)
            }
    }

    /// Worker threads over all device queues.
    public var workerCount: Int {
        queues.withLock { $0.count } * configuration.threadsPerQueue
    }

    /// Jobs that wait for a loader thread.
    public var pendingLoads: Int { loader.depth }
}
