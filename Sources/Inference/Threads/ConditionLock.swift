internal import Glibc

/// A lock with a condition to wait for: what `Synchronization` leaves out. Waiting threads sleep, they do not poll.
final class ConditionLock: @unchecked Sendable {
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let condition: UnsafeMutablePointer<pthread_cond_t>

    init() {
        mutex = .allocate(capacity: 1)
        condition = .allocate(capacity: 1)
        mutex.initialize(to: pthread_mutex_t())
        condition.initialize(to: pthread_cond_t())
        // Held for moments only: a thread that finds it taken looks again before it sleeps.
        var type = pthread_mutexattr_t()
        pthread_mutexattr_init(&type)
        pthread_mutexattr_settype(&type, Int32(PTHREAD_MUTEX_ADAPTIVE_NP))
        pthread_mutex_init(mutex, &type)
        pthread_mutexattr_destroy(&type)
        // Waits have a length: somebody who sets the system's time must not change it.
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(condition, &attributes)
        pthread_condattr_destroy(&attributes)
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        condition.deallocate()
        mutex.deallocate()
    }

    func withLock<Result, Failure: Error>(_ body: () throws(Failure) -> Result) throws(Failure) -> Result {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return try body()
    }

    /// Sleeps until signalled. The lock must be held; it is released while sleeping.
    func wait() {
        pthread_cond_wait(condition, mutex)
    }

    /// As ``wait()``, for `seconds` at most.
    func wait(seconds: Int) {
        wait(nanoseconds: seconds * 1_000_000_000)
    }

    /// As ``wait()``, for `nanoseconds` at most, and never for longer than a day.
    func wait(nanoseconds: Int) {
        var limit = timespec()
        clock_gettime(CLOCK_MONOTONIC, &limit)
        let end = limit.tv_nsec + min(max(0, nanoseconds), 86_400 * 1_000_000_000)
        limit.tv_sec += end / 1_000_000_000
        limit.tv_nsec = end % 1_000_000_000
        pthread_cond_timedwait(condition, mutex, &limit)
    }

    /// Wakes one sleeping thread.
    func signal() {
        pthread_cond_signal(condition)
    }

    /// Wakes all sleeping threads.
    func broadcast() {
        pthread_cond_broadcast(condition)
    }
}
