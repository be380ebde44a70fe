internal import CONNXRuntime
internal import Inference
internal import Synchronization

/// The handle by which a running model can be stopped.
final class ONNXRunOptions: Interruptible, @unchecked Sendable {
    private let api: OpaquePointer
    let handle: OpaquePointer
    private let isTerminating = Atomic(false)

    init(_ api: OpaquePointer) throws(InferenceError) {
        self.api = api
        handle = try makeHandle(api) { Ort_CreateRunOptions(api, $0) }
    }

    deinit {
        Ort_ReleaseRunOptions(api, handle)
    }

    func interrupt() {
        isTerminating.store(true, ordering: .relaxed)
        if let status = Ort_RunOptionsSetTerminate(api, handle) { Ort_ReleaseStatus(api, status) }
    }

    /// Whether the run was told to stop.
    var isInterrupted: Bool { isTerminating.load(ordering: .relaxed) }

    /// Makes the options usable for another run.
    func reset() {
        guard isTerminating.exchange(false, ordering: .relaxed) else { return }
        if let status = Ort_RunOptionsUnsetTerminate(api, handle) { Ort_ReleaseStatus(api, status) }
    }
}

/// Run options that are not in use: at most as many as there have been runs at the same time.
final class ONNXRunOptionsPool: Sendable {
    private let idle = Mutex<[ONNXRunOptions]>([])

    func take(_ api: OpaquePointer) throws(InferenceError) -> ONNXRunOptions {
        if let options = idle.withLock({ $0.popLast() }) { return options }
        return try ONNXRunOptions(api)
    }

    /// To be called when the run can no longer be interrupted.
    func giveBack(_ options: ONNXRunOptions) {
        options.reset()
        idle.withLock { $0.append(options) }
    }
}
