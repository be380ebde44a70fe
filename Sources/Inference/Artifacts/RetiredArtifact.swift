/// What is left of an artifact whose last reference has gone: its place in the directory, and what it held. Carried into
/// another thread, as a rule with the last references.
final class RetiredArtifact: @unchecked Sendable {
    let key: [UInt8]
    let object: ObjectIdentifier
    /// What ``AwaitedEngines`` knows the artifact by.
    let progress: ObjectIdentifier
    /// The engine's form.
    private var loaded: (any Sendable)?
    /// The client's bytes, where they are many.
    private var content: (any Sendable)?

    init(
        key: [UInt8], object: ObjectIdentifier, progress: ObjectIdentifier, loaded: (any Sendable)?,
        content: (any Sendable)? = nil
    ) {
        self.key = key
        self.object = object
        self.progress = progress
        self.loaded = loaded
        self.content = content
    }

    /// Lets go of the client's bytes: the artifact itself frees them then, in the thread at hand.
    func releaseContent() {
        content = nil
    }

    /// Lets go of one after the other: giving many pages back holds up the whole process's memory management.
    func release() {
        loaded = nil
        content = nil
    }
}
