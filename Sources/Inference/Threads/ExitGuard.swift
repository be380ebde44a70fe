internal import CLinux

/// Lets the process end although threads of ours still run.
///
/// A server that can go no further, because it cannot write its append-only file for example, calls `exit` without telling
/// modules. That destroys what the engines' libraries have made, under the feet of the threads that use it: the process
/// would crash, or hang in the server's report of the crash and never be started again. It therefore ends at once unless the
/// threads have ended before. Main thread only.
public enum ExitGuard {
    /// From now on it is a failure when the process ends without having asked.
    public static func set() {
        linux_exit_guard(1)
    }

    /// The server ends in good order, but for threads that would not.
    public static func expectSuccess() {
        linux_exit_guard(0)
    }

    /// All threads have ended: so may everything else.
    public static func lift() {
        linux_exit_unguard()
    }
}
