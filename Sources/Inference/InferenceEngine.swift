internal import Glibc
internal import Synchronization

/// The owner of everything that runs models: engines, models, device queues and loader threads.
public final class InferenceEngine: @unchecked Sendable {
    /// What is fixed when the engine starts.
    public struct Configuration: Sendable {
        public var threadsPerQueue = 1
        public var loaderThreads = 2
        /// Requests that may wait in one device queue.
        public var queueLimit = 16_384
        /// Device queues that clients may create.
        public var deviceLimit = 64
        /// Models that clients may have waiting for a loader thread.
        public var loadLimit = 1_024
        /// Milliseconds after which a run is interrupted, by engines that can.
        public var runTimeout = 5_000
        public var engineSettings = EngineSettings()
        /// The only folder from which clients may have engine libraries loaded; nil for any folder.
        public var trustedBackendsPath: String?
        /// Tries models out before they are loaded; nil to load them untried.
        public var modelChecker: ModelChecker?
        /// Receives lines for the operator.
        public var log: @Sendable (String) -> Void = { _ in }

        public init() {}
    }

    public let registry: BackendRegistry
    public let directory = ModelDirectory()
    private let clock: MonotonicClock
    /// Builds models, at low priority: serving goes first.
    private let loader: BackgroundThreads
    /// Opens engines and gives the memory of models back, at normal priority.
    private let housekeeper: BackgroundThreads
    private let queues = Mutex<[String: DeviceQueue]>([:])
    /// Engines whose absence the operator has been told of.
    private let reportedEngines = Mutex<Set<String>>([])
    /// Where relative library paths start.
    private let backendsPath = Mutex("")

    /// Written by `start` only.
    public private(set) var configuration = Configuration()

    public init(backends: [BackendDescription], clock: MonotonicClock = .system) {
        registry = BackendRegistry(backends)
        loader = BackgroundThreads(name: "loader", priority: .low, clock: clock)
        housekeeper = BackgroundThreads(name: "keeper", priority: .normal, clock: clock)
        self.clock = clock
    }

    /// Starts the background threads and the CPU's queue. Called once, before anything else; false when the system has
    /// no threads to give.
    public func start(_ configuration: Configuration, backendsPath path: String) -> Bool {
        self.configuration = configuration
        backendsPath.withLock { $0 = path }
        return loader.start(threads: configuration.loaderThreads) && housekeeper.start(threads: 1)
            && (try? queue(for: "CPU")) != nil
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
            ]
        return results.allSatisfy { $0 }
    }

    /// Interrupts runs that have lasted too long, and gives up on those that do not react. To be called several times a
    /// second.
    public func endOverdueRuns() {
        let limit = configuration.runTimeout * 1_000_000
        for queue in queues.withLock({ Array($0.values) }) {
            queue.interruptRuns(olderThan: limit)
            queue.abandonRuns(olderThan: 2 * limit)
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

    /// Loads an engine from the library that an operator named, in the calling thread. False when it cannot be, or is
    /// loaded already.
    public func loadBackend(_ description: BackendDescription, path: String) -> Bool {
        registry.load(description, path: resolveLibraryPath(path), settings: configuration.engineSettings)
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
        let isLoaded = housekeeper.value { [unowned self] in
            loadBackend(description, untrustedPath: description.defaultPath)
        }
        guard isLoaded != nil, let backend = registry.loadedBackend(description) else {
            reportMissing(description)
            throw .couldNotLoadBackend
        }
        return backend
    }

    /// Tells the operator where an engine was looked for: once, since clients can ask for it as often as they like.
    private func reportMissing(_ description: BackendDescription) {
        guard reportedEngines.withLock({ $0.insert(description.name).inserted }) else { return }
        let path = resolveLibraryPath(description.defaultPath)
        configuration.log("the \(description.name) engine was asked for and could not be loaded from \(path)")
    }
}

/// The path without links and dots; nil when there is no such file.
private func canonicalPath(_ path: String) -> String? {
    guard let resolved = realpath(path, nil) else { return nil }
    defer { free(resolved) }
    return String(cString: resolved)
}

// MARK: Models

extension InferenceEngine {
    /// Makes a model and has it loaded in the background. `completion` is told in a loader thread when it is ready or
    /// broken. The model is not listed in the directory before it is added there.
    public func makeModel(
        _ definition: ModelDefinition, completion: (@Sendable () -> Void)? = nil
    ) -> Model {
        let model = Model(definition) { [unowned self] in retire($0, $1) }
        // The job does not keep the model: one that is deleted meanwhile goes at once.
        if let completion { model.whenLoaded(completion) }
        loader.submit { [weak model, unowned self] watch in
            guard model != nil else { return }
            let result = build(definition, watch)
            // Whoever is told must be able to be the last to let go of what was built.
            let waiters = model?.finishLoading(consume result) ?? []
            for waiter in waiters { waiter() }
        }
        return model
    }

    /// Refuses at once what need not be tried: a model for an engine that is not there, or a further one while too many
    /// wait to be loaded.
    public func checkCanLoad(_ definition: ModelDefinition) throws(InferenceError) {
        let path = resolveLibraryPath(definition.backend.defaultPath)
        guard registry.loadedBackend(definition.backend) != nil || access(path, R_OK) == 0 else {
            reportMissing(definition.backend)
            throw .couldNotLoadBackend
        }
        let limit = configuration.loadLimit
        guard loader.depth < limit else { throw .tooManyLoads(limit: limit) }
    }

    private func build(
        _ definition: ModelDefinition, _ watch: RunWatch
    ) -> Result<(any LoadedModel, DeviceQueue), InferenceError> {
        do throws(InferenceError) {
            let backend = try backend(definition.backend)
            if let checker = configuration.modelChecker, let library = registry.libraryPath(definition.backend) {
                try checker.check(definition, library: library, settings: configuration.engineSettings)
            }
            let loaded = try backend.load(definition)
            loaded.warmUp(watch: watch)
            return .success((loaded, try queue(for: definition.device.queueName)))
        } catch {
            return .failure(error)
        }
    }

    /// The last reference to a model has gone: forget its name, and give its memory back where nobody waits.
    private func retire(_ model: Model, _ loaded: consuming (any LoadedModel)?) {
        directory.remove(model)
        let parting = Parting(loaded, model.definition.blob)
        housekeeper.submit { _ in parting.release() }
    }

    /// Calls `body` in another thread when the memory of all models that have gone so far has been given back.
    public func whenReclaimed(_ body: @escaping @Sendable () -> Void) {
        inBackground(body)
    }

    /// Runs `body` in another thread, after everything that was handed over before.
    public func inBackground(_ body: @escaping @Sendable () -> Void) {
        housekeeper.submit { _ in body() }
    }

    /// Carries what a model held into another thread: as a rule the last references.
    private final class Parting: @unchecked Sendable {
        private var loaded: (any LoadedModel)?
        private var blob: ModelBlob?

        init(_ loaded: consuming (any LoadedModel)?, _ blob: ModelBlob) {
            self.loaded = loaded
            self.blob = blob
        }

        /// One after the other: giving many pages back holds up the whole process's memory management.
        func release() {
            loaded = nil
            blob = nil
        }
    }
}

// MARK: Execution

extension InferenceEngine {
    /// Queues a request; its receiver is told when it has ended, and at once when it is refused. A request for a model
    /// that is still loading is queued when the model is ready.
    public func submit(_ request: InferenceRequest) {
        guard let model = request.model else { return }
        if let queue = model.ready?.queue { return enqueue(request, queue) }
        let limit = configuration.queueLimit
        guard model.waiterCount < limit else {
            return request.refuse(.queueIsFull(model.definition.device.queueName, limit: limit))
        }
        model.whenLoaded { [unowned self] in
            guard let model = request.model else { return }
            if let queue = model.ready?.queue {
                enqueue(request, queue)
            } else {
                request.refuse(model.brokenError)
            }
        }
    }

    private func enqueue(_ request: InferenceRequest, _ queue: DeviceQueue) {
        if !queue.submit(request) {
            request.refuse(.queueIsFull(queue.name, limit: configuration.queueLimit))
        }
    }

    /// The queue of a device, made when it is first needed.
    private func queue(for name: String) throws(InferenceError) -> DeviceQueue {
        let queue = queues.withLock { queues -> DeviceQueue? in
            if let queue = queues[name] { return queue }
            guard queues.count < configuration.deviceLimit else { return nil }
            let queue = DeviceQueue(
                name: name, threads: configuration.threadsPerQueue, limit: configuration.queueLimit, clock: clock)
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
        /// Requests that wait for a worker.
        public let depth: Int
        /// Nanoseconds of processor time per worker; nil where unknown.
        public let processorTimes: [Int?]
    }

    /// All queues, the CPU's first, then by name.
    public var queueStatus: [QueueStatus] {
        queues.withLock { Array($0.values) }
            .sorted { ($0.name == "CPU" ? "" : $0.name) < ($1.name == "CPU" ? "" : $1.name) }
            .map { QueueStatus(name: $0.name, depth: $0.depth, processorTimes: $0.processorTimes) }
    }

    /// Worker threads over all device queues.
    public var workerCount: Int {
        queues.withLock { $0.count } * configuration.threadsPerQueue
    }

    /// Jobs that wait for a loader thread.
    public var pendingLoads: Int { loader.depth }
}
