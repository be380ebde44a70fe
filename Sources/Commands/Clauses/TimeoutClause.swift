internal import RedisModuleKit

/// `TIMEOUT ms`: how long a request may wait for a worker.
enum TimeoutClause {
    /// Reads the value that follows the word TIMEOUT: a positive number of milliseconds.
    static func parseValue(_ arguments: inout Arguments) throws(CommandError) -> Int {
        guard let argument = arguments.next() else { throw .timeoutWithoutValue }
        guard let milliseconds = argument.integer, milliseconds > 0 else { throw .invalidTimeout }
        return milliseconds
    }
}

// MARK: Texts

extension CommandError {
    static let timeoutWithoutValue = CommandError("ERR No value provided for TIMEOUT")
    static let invalidTimeout = CommandError("ERR Invalid value for TIMEOUT")
}
