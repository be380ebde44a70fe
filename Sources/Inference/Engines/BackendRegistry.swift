internal import Synchronization

/// The engines: which there are, and which have been loaded into the process. An engine is loaded once.
public final class BackendRegistry: Sendable {
    public let descriptions: [BackendDescription]
    private struct Loaded {
        let backend: any Backend
        let path: String
    }
    private let loaded = Mutex<[String: Loaded]>([:])
    /// Held while a library is being opened, so that it is opened once; nobody on the main thread waits for it.
    private let opening = Mutex<Void>(())

    public init(_ descriptions: [BackendDescription]) {
        self.descriptions = descriptions
    }

    /// The engine with this name, in any case.
    public func description(named name: String) -> BackendDescription? {
        let name = name.uppercased()
        return descriptions.first { $0.name == name }
    }

    /// The engine with this number in data files.
    public func description(withID id: Int) -> BackendDescription? {
        descriptions.first { $0.id == id }
    }

    /// The engine, if it has been loaded.
    public func loadedBackend(_ description: BackendDescription) -> (any Backend)? {
        loaded.withLock { $0[description.name]?.backend }
    }

    /// The library from which the engine has been loaded.
    func libraryPath(_ description: BackendDescription) -> String? {
        loaded.withLock { $0[description.name]?.path }
    }

    /// Loads an engine from the library at `path`.
    ///
    /// - Throws: why it cannot be loaded; that it is loaded already counts.
    func load(_ description: BackendDescription, path: String, settings: EngineSettings) throws(InferenceError) {
        let failure = opening.withLock { _ -> InferenceError? in
            guard loadedBackend(description) == nil else { return InferenceError("it is loaded already") }
            guard let open = description.open else { return InferenceError("this build does not have it") }
            // In a thread of its own: an engine's threads inherit the name of the one that makes them.
            let opened = WorkerThread.value(name: "ai-\(description.name)") {
                Result { () throws(InferenceError) in try open(path, settings) }
            }
            switch opened {
            case .success(let backend):
                loaded.withLock { $0[description.name] = Loaded(backend: backend, path: path) }
                return nil
            case .failure(let error): return error
            case nil: return InferenceError("the system has no thread to give")
            }
        }
        if let failure { throw failure }
    }
}
