/// Why there is no result.
public enum RunError: Error, Equatable, CustomStringConvertible {
    /// A target or a process that the plan names is not there.
    case unreachable(String)
    /// The system has refused what the run needs.
    case system(String)

    public var description: String {
        switch self {
        case .unreachable(let text), .system(let text): text
        }
    }
}
