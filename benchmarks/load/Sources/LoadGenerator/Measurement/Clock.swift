import Glibc

/// Time in nanoseconds.
enum Clock {
    static let second: UInt64 = 1_000_000_000

    /// Monotonic; the same clock as SwiftNIO's deadlines.
    static func now() -> UInt64 {
        read(CLOCK_MONOTONIC) ?? 0
    }

    /// CPU time of this process.
    static func ownCPU() -> UInt64 {
        read(CLOCK_PROCESS_CPUTIME_ID) ?? 0
    }

    /// CPU time of all threads of another process, also of those that have ended; nil when there is no such process.
    static func cpu(of pid: pid_t) -> UInt64? {
        var clock = clockid_t()
        guard clock_getcpuclockid(pid, &clock) == 0 else { return nil }
        return read(clock)
    }

    static func nanoseconds(_ seconds: Double) -> UInt64 {
        UInt64(max(0, seconds) * Double(second))
    }

    /// Sleeps up to a time of `now()`.
    static func sleep(until time: UInt64) {
        var deadline = timespec(tv_sec: Int(time / second), tv_nsec: Int(time % second))
        while clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &deadline, nil) == EINTR {}
    }

    private static func read(_ clock: clockid_t) -> UInt64? {
        var time = timespec()
        guard clock_gettime(clock, &time) == 0 else { return nil }
        return UInt64(time.tv_sec) &* second &+ UInt64(time.tv_nsec)
    }
}
