internal import CPyTorch
internal import Inference
internal import Synchronization

/// The handle by which a running program can be stopped: it asks at every turn of a loop.
final class PyTorchRun: Interruptible, @unchecked Sendable {
    private let library: PyTorchLibrary
    let handle: OpaquePointer

    init(_ library: PyTorchLibrary) throws(InferenceError) {
        guard let handle = library.api.pointee.make_run() else { throw InferenceError("not enough memory") }
        self.library = library
        self.handle = handle
    }

    deinit {
        library.api.pointee.free_run(handle)
    }

    func interrupt() {
        library.api.pointee.interrupt_run(handle)
    }

    fileprivate func reset() {
        library.api.pointee.reset_run(handle)
    }
}

/// Runs that have ended and can be used again: at most as many as there have been at the same time.
final class PyTorchRunPool: Sendable {
    private let idle = Mutex<[PyTorchRun]>([])

    private func take(_ library: PyTorchLibrary) throws(InferenceError) -> PyTorchRun {
        if let run = idle.withLock({ $0.popLast() }) { return run }
        return try PyTorchRun(library)
    }

    /// Calls `body` with a run that `watch` can interrupt.
    func withRun<Result>(
        _ library: PyTorchLibrary, _ watch: RunWatch, _ body: (OpaquePointer) throws(InferenceError) -> Result
    ) throws(InferenceError) -> Result {
        let run = try take(library)
        defer {
            run.reset()
            idle.withLock { $0.append(run) }
        }
        return try watch.during(run) { () throws(InferenceError) in try body(run.handle) }
    }
}
