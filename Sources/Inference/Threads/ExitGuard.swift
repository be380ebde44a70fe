internal import CLinux

/// Lets the process end although threads of ours still run.
///
/// A server that can go no further, because it cannot write its append-only file for example, calls `exit` without telling
/// modules. That destroys what the engines' libraries have made, under the feet of the threads that use it: the process
/// would crash, or hang in the server's report of the crash and never be started again. It therefore ends at once unless the
/// threads have ended before. Main thread only.
public enum ExitGuard {
    private static let failure: Int32 = 1
    nonisolated(unsafe) private static var status: Int32? = failure

    /// Makes sure that it comes first. To be called now and then: libraries register what they want done at exit when they are
    /// opened, and when they are used for the first time.
    public static func renew() {
        if let status { linux_exit_guard(status) }
    }

    /// The server ends in good order, but for threads that would not.
    public static func expectSuccess() {
        status = 0
        renew()
    }

    /// All threads have ended: so may everything else.
    public static func lift() {
        status = nil
        linux_exit_unguard()
    }
}
