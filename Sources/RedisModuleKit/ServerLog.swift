internal import CRedisModule
internal import Glibc

/// The server's log. Any thread: the server formats and writes one line per call.
public enum ServerLog {
    public static func warning(_ text: String) {
        RedisModule_LogText(nil, "warning", text)
    }

    /// For the moment before the server's log is known.
    static func standardError(_ text: String) {
        _ = (text + "\n").withCString { write(STDERR_FILENO, $0, strlen($0)) }
    }
}
