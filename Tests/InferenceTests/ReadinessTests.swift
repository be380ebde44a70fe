import Synchronization
import TestSupport
import Testing

@testable import Inference

@Suite struct ReadinessTests {
    private final class Built: Sendable {}

    private let readiness = Readiness<Built>()

    private func withQueue(_ body: (DeviceQueue) throws -> Void) throws {
        let queue = try #require(DeviceQueue(name: "CPU", threads: 1, limits: .init(), clock: .system))
        defer { #expect(queue.stop(withinSeconds: Gate.patience)) }
        try body(queue)
    }

    @Test func `is loading at first`() {
        #expect(readiness.phase.isLoading)
        #expect(readiness.loaded == nil)
        #expect(readiness.queue == nil)
        #expect(readiness.waiterCount == 0)
    }

    @Test func `is ready when what was built is there`() throws {
        try withQueue { queue in
            let built = Built()
            _ = readiness.finish(.success((built, queue)))
            #expect(readiness.phase.isReady)
            #expect(readiness.loaded === built)
            #expect(readiness.built === built)
            #expect(readiness.queue === queue)
        }
    }

    @Test func `is broken when loading has failed`() {
        _ = readiness.finish(.failure(InferenceError("cannot be parsed")))
        #expect(readiness.phase.error == InferenceError("cannot be parsed"))
        #expect(readiness.built == nil)
        #expect(readiness.queue == nil)
    }

    @Test func `what has ended once does not change any more`() throws {
        try withQueue { queue in
            _ = readiness.finish(.failure(InferenceError("first")))
            #expect(readiness.finish(.success((Built(), queue))).isEmpty)
            #expect(readiness.phase.error == InferenceError("first"))
            #expect(readiness.built == nil)
        }
    }

    @Test func `those who wait are handed over once, in order`() throws {
        let told = Numbers()
        for number in 1...3 { readiness.whenLoaded { told.append(number) } }
        #expect(readiness.waiterCount == 3)
        let waiters = readiness.finish(.failure(.couldNotLoadBackend))
        #expect(readiness.waiterCount == 0)
        for waiter in waiters { waiter() }
        #expect(told.all == [1, 2, 3])
        #expect(readiness.finish(.failure(.couldNotLoadBackend)).isEmpty)
    }

    @Test func `who comes later is told at once`() {
        let isTold = Gate("told")
        _ = readiness.finish(.failure(.couldNotLoadBackend))
        readiness.whenLoaded { isTold.open() }
        #expect(isTold.isOpen)
        #expect(readiness.waiterCount == 0)
    }

    @Test func `nobody is told before`() {
        let isTold = Gate("told")
        readiness.whenLoaded { isTold.open() }
        #expect(!isTold.isOpen)
    }

    @Test func `what is in quarantine does not run, and keeps what was built`() throws {
        try withQueue { queue in
            let built = Built()
            _ = readiness.finish(.success((built, queue)))
            readiness.quarantine()
            #expect(readiness.phase.error == .runDidNotEnd)
            #expect(readiness.loaded == nil)
            #expect(readiness.queue == nil)
            #expect(readiness.built === built)
        }
    }

    @Test func `goes back to loading when its engine was not there`() throws {
        try withQueue { queue in
            let told = Numbers()
            _ = readiness.finish(.failure(.couldNotLoadBackend))
            #expect(readiness.restart())
            #expect(readiness.phase.isLoading)
            readiness.whenLoaded { told.append(1) }
            #expect(told.all == [])
            let built = Built()
            for waiter in readiness.finish(.success((built, queue))) { waiter() }
            #expect(told.all == [1])
            #expect(readiness.phase.isReady)
            #expect(readiness.loaded === built)
        }
    }

    @Test func `nothing else is begun anew`() throws {
        #expect(readiness.restart() == false)
        _ = readiness.finish(.failure(InferenceError("cannot be parsed")))
        #expect(readiness.restart() == false)
        #expect(readiness.phase.error == InferenceError("cannot be parsed"))
        try withQueue { queue in
            let ready = Readiness<Built>()
            _ = ready.finish(.success((Built(), queue)))
            #expect(ready.restart() == false)
            #expect(ready.phase.isReady)
        }
        let gone = Readiness<Built>()
        _ = gone.finish(.failure(.couldNotLoadBackend))
        _ = gone.surrender()
        #expect(gone.restart() == false)
    }

    @Test func `those who look while it is begun anew see one phase or the other`() throws {
        for _ in 0..<50 {
            let readiness = Readiness<Built>()
            _ = readiness.finish(.failure(.couldNotLoadBackend))
            let looker = ThreadResult<Bool>(name: "looker") {
                (0..<2_000).allSatisfy { _ in
                    let phase = readiness.phase
                    return phase.isLoading || phase.error == .couldNotLoadBackend
                }
            }
            for _ in 0..<20 {
                _ = readiness.restart()
                _ = readiness.finish(.failure(.couldNotLoadBackend))
            }
            #expect(try looker.wait())
        }
    }

    @Test func `surrendering gives the last reference away`() throws {
        try withQueue { queue in
            weak var built: Built?
            var surrendered: Built?
            do {
                let made = Built()
                built = made
                _ = readiness.finish(.success((made, queue)))
            }
            #expect(built != nil)
            surrendered = readiness.surrender()
            #expect(surrendered === built)
            #expect(readiness.built == nil)
            surrendered = nil
            #expect(built == nil)
        }
    }

    @Test func `whoever comes while loading ends is told exactly once`() throws {
        for _ in 0..<200 {
            let readiness = Readiness<Built>()
            let told = Counter()
            let registrar = ThreadResult<Void>(name: "registrar") {
                for _ in 0..<50 { readiness.whenLoaded { told.increment() } }
            }
            for waiter in readiness.finish(.failure(.couldNotLoadBackend)) { waiter() }
            try registrar.wait()
            #expect(told.value == 50)
        }
    }
}

private final class Numbers: Sendable {
    private let numbers = Mutex<[Int]>([])

    var all: [Int] { numbers.withLock { $0 } }

    func append(_ number: Int) {
        numbers.withLock { $0.append(number) }
    }
}

private final class Counter: Sendable {
    private let count = Atomic(0)

    var value: Int { count.load(ordering: .sequentiallyConsistent) }

    func increment() {
        count.add(1, ordering: .sequentiallyConsistent)
    }
}
