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

    /// Loads an engine from the library at `path`; false when that fails or the engine is loaded already.
    func load(_ description: BackendDescription, path: String, settings: EngineSettings) -> Bool {
        opening.withLock { _ in
            guard loadedBackend(description) == nil, let open = description.open else { return false }
            // In a thread of its own: an engine's threads inherit the name of the one that makes them.
            let opened = WorkerThread.value(name: "ai-\(description.name)") { try? open(path, settings) }
            guard let backend = opened ?? nil else { return false }
            loaded.withLock { $0[description.name] = Loaded(backend: backend, path: path) }
            return true
        }
    }
}
