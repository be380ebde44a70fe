/// A value that one thread waits for and another produces.
final class Pending<Value: Sendable>: @unchecked Sendable {
    private let lock = ConditionLock()
    // Guarded by `lock`.
    private var value: Value?

    func fulfil(_ value: Value) {
        lock.withLock {
            self.value = value
            lock.broadcast()
        }
    }

    /// Sleeps until the value is there; nil when `isAbandoned` says that nobody will produce it.
    func wait(isAbandoned: () -> Bool = { false }) -> Value? {
        while true {
            let isFulfilled = lock.withLock {
                if value == nil { lock.wait(seconds: 1) }
                return value != nil
            }
            if isFulfilled || isAbandoned() { return lock.withLock { value } }
        }
    }
}
