internal import CLinux
internal import Glibc
internal import Synchronization

/// A named system thread that runs one function and can be joined.
final class WorkerThread: Sendable {
    /// How willingly the thread gives way to others.
    enum Priority: Sendable {
        case normal
        /// Runs when nothing else wants the processor, as far as the system can arrange it.
        case low
    }

    let name: String
    private let handle = Mutex<pthread_t?>(nil)
    private let hasEnded = Atomic(false)

    /// Starts the thread; nil when the system has no thread to give. Names longer than 15 bytes are cut.
    init?(name: String, priority: Priority = .normal, body: @escaping @Sendable () -> Void) {
        self.name = name
        let start = Start(thread: self, priority: priority, body: body)
        var thread = pthread_t()
        let argument = Unmanaged.passRetained(start)
        let status = pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                // Balances the retain in `init`.
                Unmanaged<Start>.fromOpaque(argument).takeRetainedValue().run()
                return nil
            }, argument.toOpaque())
        guard status == 0 else {
            argument.release()
            return nil
        }
        let started = thread
        handle.withLock { $0 = started }
    }

    /// Processor time the thread has used, in nanoseconds; nil where the system cannot tell.
    var processorTime: Int? {
        guard !hasEnded.load(ordering: .acquiring), let thread = handle.withLock({ $0 }) else { return nil }
        var clock = clockid_t()
        var time = timespec()
        guard pthread_getcpuclockid(thread, &clock) == 0, clock_gettime(clock, &time) == 0 else { return nil }
        return time.tv_sec * 1_000_000_000 + time.tv_nsec
    }

    /// Waits for the thread's end, `seconds` at most. Returns whether it has ended.
    func join(withinSeconds seconds: Int) -> Bool {
        // Taken for as long as the wait lasts: the thread may want to detach itself meanwhile, and need not then.
        guard let thread = handle.withLock({ $0.take() }) else { return true }
        let hasEnded = linux_thread_join(thread, Int32(clamping: seconds))
        if !hasEnded { handle.withLock { $0 = thread } }
        return hasEnded
    }

    /// Says that nobody will join the thread, unless somebody is doing so. To be called by the thread itself.
    func detach() {
        if let thread = handle.withLock({ $0.take() }) { pthread_detach(thread) }
    }

    /// Runs `body` in a new thread and waits for its result; nil when the system has no thread to give.
    static func value<Value: Sendable>(name: String, _ body: @escaping @Sendable () -> Value) -> Value? {
        let result = Pending<Value>()
        guard let thread = WorkerThread(name: name, body: { result.fulfil(body()) }) else { return nil }
        defer { _ = thread.join(withinSeconds: 60) }
        return result.wait()
    }

    private final class Start: Sendable {
        let thread: WorkerThread
        let priority: Priority
        let body: @Sendable () -> Void

        init(thread: WorkerThread, priority: Priority, body: @escaping @Sendable () -> Void) {
            self.thread = thread
            self.priority = priority
            self.body = body
        }

        func run() {
            blockSignals()
            linux_thread_set_name(thread.name)
            if priority == .low { linux_thread_lower_priority(10) }
            body()
            thread.hasEnded.store(true, ordering: .releasing)
        }

        /// Signals are the server's main thread's business.
        private func blockSignals() {
            var signals = sigset_t()
            sigfillset(&signals)
            for fatal in [SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT] { sigdelset(&signals, fatal) }
            pthread_sigmask(SIG_SETMASK, &signals, nil)
        }
    }
}
