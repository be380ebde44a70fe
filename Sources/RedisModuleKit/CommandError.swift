/// An error reply: the text that follows the `-` on the wire, its `ERR ` prefix included where it has one.
public struct CommandError: Error, Equatable, Sendable {
    public let text: String

    public init(_ text: String) {
        self.text = text
    }

    /// The server's own text for a key that holds another type.
    public static let wrongType = CommandError("WRONGTYPE Operation against a key holding the wrong kind of value")

    /// The server's text for a wrong number of arguments, with the command's name as the client typed it.
    public static func wrongArity(of command: String) -> CommandError {
        CommandError("ERR wrong number of arguments for '\(command)' command")
    }

    /// The text as it may go on the wire: an error is one line, so CR, LF and NUL become one space each.
    var wireText: String {
        guard text.utf8.contains(where: Self.breaksTheLine) else { return text }
        return String(decoding: text.utf8.map { Self.breaksTheLine($0) ? 0x20 : $0 }, as: UTF8.self)
    }

    private static func breaksTheLine(_ byte: UInt8) -> Bool {
        byte == 0x0A || byte == 0x0D || byte == 0
    }
}
