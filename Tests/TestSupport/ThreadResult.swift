import Foundation
import Synchronization

/// What a thread of its own makes of `body`. When the result is there, all that `body` held has been let go of.
public final class ThreadResult<Value: Sendable>: Sendable {
    public struct NoResult: Error {}

    private let body: Mutex<(@Sendable () throws -> Value)?>
    private let result = Mutex<Result<Value, any Error>?>(nil)
    private let end: Gate

    public init(name: String, body: @escaping @Sendable () throws -> Value) {
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

    public var hasEnded: Bool { end.isOpen }

    public func wait() throws -> Value {
        try end.wait()
        guard let made = try result.withLock({ try $0?.get() }) else { throw NoResult() }
        return made
    }
}
