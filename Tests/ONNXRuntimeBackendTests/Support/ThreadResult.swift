import Foundation
import Synchronization
import TestSupport

/// What a thread of its own makes of `body`. When the result is there, all that `body` held has been let go of.
final class ThreadResult<Value: Sendable>: Sendable {
    struct NoResult: Error {}

    private let body: Mutex<(@Sendable () throws -> Value)?>
    private let result = Mutex<Result<Value, any Error>?>(nil)
    private let end: Gate

    init(name: String, body: @escaping @Sendable () throws -> Value) {
        self.body = Mutex(body)
        end = Gate("\(name) has ended")
        Thread { [self] in
            run()
            end.open()
        }.start()
    }

    private func run() {
        guard let body = body.withLock({ $0.take() }) else { return }
        let made = Result { try body() }
        result.withLock { $0 = made }
    }

    var hasEnded: Bool { end.isOpen }

    func wait() throws -> Value {
        try end.wait()
        guard let made = try result.withLock({ try $0?.get() }) else { throw NoResult() }
        return made
    }
}
