/// What a client stores for an engine to run: a ``Model`` or a ``Script``.
///
/// An artifact is *loading* until its engine has built it, then *ready* or, with the reason, *broken*. Requests that come
/// while it loads wait for it.
public protocol Artifact: AnyObject, Sendable {
    var identity: ArtifactIdentity { get }
    var statistics: RunStatistics { get }
    var phase: ArtifactPhase { get }
    /// How far the artifact has come, for those who must not keep it.
    var progress: any ArtifactProgress { get }

    /// The queue in which requests wait; nil unless the artifact is ready.
    var readyQueue: DeviceQueue? { get }
    /// Requests that wait for the artifact to be loaded.
    var waiterCount: Int { get }
    /// Calls `body` when the artifact has stopped loading: at once in the calling thread if it has, else later in
    /// another thread.
    func whenLoaded(_ body: @escaping @Sendable () -> Void)
    /// Makes the artifact refuse to run, because a run of it did not end.
    func quarantine()
}

extension Artifact {
    /// Why the artifact does not run.
    var brokenError: InferenceError {
        if case .broken(let error) = phase {
            .isBroken(identity.kind, error.message)
        } else {
            .isBroken(identity.kind, "it is not loaded")
        }
    }
}

/// The phase of an artifact, seen without holding the artifact.
///
/// Instead of a weak reference, which would make every reference count of the artifact slow, on every request.
public protocol ArtifactProgress: AnyObject, Sendable {
    /// Nil once the artifact has gone.
    var progress: ArtifactPhase? { get }
}

/// What every stored artifact has.
public struct ArtifactIdentity: Sendable {
    public enum Kind: String, Sendable {
        case model = "MODEL"
        case script = "SCRIPT"
    }

    public let kind: Kind
    /// The key at the time of storing: AI.INFO goes by it.
    public let key: [UInt8]
    public let backend: BackendDescription
    public let device: Device
    public let tag: [UInt8]
}

/// How far an artifact has come.
public enum ArtifactPhase: Sendable {
    case loading, ready
    case broken(InferenceError)
}
