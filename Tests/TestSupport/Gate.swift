import Dispatch

/// A door between threads: closed at first, open for ever once somebody opens it.
///
/// Waiting is bounded, so that a test that went wrong fails instead of hanging.
public final class Gate: Sendable {
    /// What a test reports when it waited in vain.
    public struct StayedClosed: Error {
        public let name: String
    }

    /// Far beyond what a loaded machine needs.
    public static let patience = 30

    private let name: String
    private let semaphore = DispatchSemaphore(value: 0)

    public init(_ name: String) {
        self.name = name
    }

    public func open() {
        semaphore.signal()
    }

    /// Waits until the gate is open; false when it stays closed for too long.
    @discardableResult
    public func pass() -> Bool {
        guard semaphore.wait(timeout: .now() + .seconds(Self.patience)) == .success else { return false }
        // For the next one who comes.
        semaphore.signal()
        return true
    }

    /// As ``pass()`` for the test itself.
    public func wait() throws {
        guard pass() else { throw StayedClosed(name: name) }
    }

    public var isOpen: Bool {
        guard semaphore.wait(timeout: .now()) == .success else { return false }
        semaphore.signal()
        return true
    }
}
