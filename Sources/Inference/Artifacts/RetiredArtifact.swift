/// What is left of an artifact whose last reference has gone: its place in the directory, and what it held. Carried into
/// another thread, as a rule with the last references.
final class RetiredArtifact: @unchecked Sendable {
    let key: [UInt8]
    let object: ObjectIdentifier
    /// What ``AwaitedEngines`` knows the artifact by.
    let progress: ObjectIdentifier
    private var parts: [(any Sendable)?]

    init(
        key: [UInt8], object: ObjectIdentifier, progress: ObjectIdentifier, parts: consuming [(any Sendable)?]
    ) {
        self.key = key
        self.object = object
        self.progress = progress
        self.parts = parts
    }

    /// Lets go of the parts one after the other: giving many pages back holds up the whole process's memory management.
    func release() {
        for index in parts.indices { parts[index] = nil }
    }
}
