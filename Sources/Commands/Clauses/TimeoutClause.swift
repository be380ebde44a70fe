internal import RedisModuleKit

/// `TIMEOUT ms`: how long a request may wait for a worker.
enum TimeoutClause {
    /// Reads `[TIMEOUT ms]`; the operations of a DAG may not have one.
    static func parse(_ arguments: inout Arguments, in place: CallPlace) throws(CommandError) -> Int? {
        guard arguments.consume("TIMEOUT") else { return nil }
        guard place == .command else { throw .timeoutInGraph }
        return try parseValue(&arguments)
    }

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
    static let timeoutInGraph = CommandError("ERR TIMEOUT not allowed within a DAG command")
    static let invalidTimeout = CommandError("ERR Invalid value for TIMEOUT")
}
