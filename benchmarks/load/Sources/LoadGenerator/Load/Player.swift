import DequeModule
import NIOCore

/// Plays requests on the connections of one event loop. Everything happens on that event loop.
final class Player {
    /// What a player does of a load.
    struct Part: Sendable {
        var playbook: Playbook
        var load: Load
        /// Of so many players, this is the one with this index.
        var index: Int
        var count: Int
        var seed: Int
        /// Nanoseconds.
        var timeout: UInt64
        /// Requests of an open loop that may wait for a connection.
        var backlogLimit = Int.max
        var isSampling = false

        /// Its share of the connections.
        var connections: Int { load.connections / count + (index < load.connections % count ? 1 : 0) }
    }

    /// What is asked while it plays.
    struct Progress: Sendable {
        /// The time at which it gave up.
        var gaveUp: UInt64?
        var isIdle: Bool
    }

    private static let pauseBeforeReconnect = TimeAmount.milliseconds(100)
    private static let checkInterval = TimeAmount.milliseconds(50)
    /// Without any connection it gives up after this time.
    private static let longestLoneliness = 2 * Clock.second

    private let part: Part
    private let eventLoop: any EventLoop
    private let connector: Connector
    private(set) var links: [any Link] = []
    private var slots: [Slot] = []
    private var recorder = Recorder(window: Window(start: .max, end: .max))
    private var generator: SeededGenerator
    private(set) var sample: [UInt8] = []
    private var sampledSlot: Int?

    // Open loop
    private var arrivals: ArrivalSchedule?
    private var timerIsSet = false
    /// Slots without a request, and requests without a slot.
    private var free = Deque<Int>()
    private var backlog = Deque<UInt64>()

    private var busy = 0
    private var unflushed: [any Link] = []
    private var hasStarted = false
    private var isStopped = false
    private var gaveUp: UInt64?
    private var lastSeenConnected: UInt64 = 0
    private var connected: EventLoopPromise<Void>?
    /// So many, from the first on, are connected at the start.
    private var connectedLinks = 0

    init(_ part: Part, eventLoop: any EventLoop) {
        self.part = part
        self.eventLoop = eventLoop
        connector = Connector(eventLoop: eventLoop)
        generator = SeededGenerator(seed: part.seed, stream: part.index)
        for connection in 0..<part.connections {
            for target in part.playbook.targets {
                links.append(makeLink(to: target, connection: connection))
            }
            for _ in 0..<part.load.pipeline { slots.append(Slot(connection: connection)) }
        }
    }
}

// MARK: - What the run asks

extension Player {
    /// Connects all links; done when each can be used.
    func connect() -> EventLoopFuture<Void> {
        let promise = eventLoop.makePromise(of: Void.self)
        connected = promise
        for link in links { connect(link) }
        setTimer(in: Connector.timeout) { player in
            player.failConnecting("no connection within the time allowed")
        }
        return promise.futureResult
    }

    /// Starts the load, at the time when this is called.
    func start(window: Window) {
        let now = Clock.now()
        recorder.window = window
        hasStarted = true
        lastSeenConnected = now
        if part.isSampling { sampledSlot = 0 }
        switch part.load {
        case .closed:
            for slot in slots.indices { playNext(slot, at: now) }
        case .open(let load):
            arrivals = ArrivalSchedule(
                load, share: part.index, of: part.count, start: now, seed: part.seed)
            free.append(contentsOf: freeOrder)
            playArrivals(at: now)
        }
        flush()
        check()
    }

    var progress: Progress {
        Progress(gaveUp: gaveUp, isIdle: busy == 0 && backlog.isEmpty)
    }

    /// What the second with this index has brought so far.
    func second(_ index: Int) -> Recorder.Second {
        recorder.seconds.indices.contains(index) ? recorder.seconds[index] : Recorder.Second()
    }

    /// Ends the window early, when another player has given up.
    func endWindow(at time: UInt64) {
        recorder.window.end = min(recorder.window.end, time)
    }

    /// Ends everything. What is under way counts as an error.
    func stop() -> Recorder {
        let now = Clock.now()
        for slot in slots.indices where slots[slot].isBusy {
            recorder.record(intended: slots[slot].intended, ended: now, failure: "unanswered at the end")
        }
        for intended in backlog {
            recorder.record(intended: intended, ended: now, failure: "unanswered at the end")
        }
        isStopped = true
        for link in links { link.close(because: "end of the run") }
        return recorder
    }

    /// Slots so that consecutive requests go to different connections.
    private var freeOrder: [Int] {
        let pipeline = part.load.pipeline
        return (0..<pipeline).flatMap { place in stride(from: place, to: slots.count, by: pipeline) }
    }
}

// MARK: - Requests

extension Player {
    private var isIssuing: Bool { hasStarted && !isStopped && gaveUp == nil }

    /// Gives a slot that has become free its next request.
    private func playNext(_ slot: Int, at now: UInt64) {
        guard isReady(slots[slot].connection) else { return }
        if let intended = backlog.popFirst() {
            play(slot, intended: intended, at: now)
        } else if arrivals != nil {
            free.append(slot)
        } else if isIssuing && now < recorder.window.end {
            play(slot, intended: now, at: now)
        }
    }

    private func play(_ slot: Int, intended: UInt64, at now: UInt64) {
        let requests = part.playbook.requests
        slots[slot].steps = requests.count == 1 ? requests[0] : requests.randomElement(using: &generator) ?? []
        slots[slot].step = 0
        slots[slot].intended = intended
        slots[slot].started = now
        slots[slot].isBusy = true
        busy += 1
        sendStep(slot, at: now)
    }

    private func sendStep(_ slot: Int, at now: UInt64) {
        let step = slots[slot].steps[slots[slot].step]
        let link = links[slots[slot].connection * part.playbook.targets.count + step.target]
        guard link.isUp else {
            return end(slot, failure: "connection to \(link.target.name) closed", at: now)
        }
        let payload = step.splice == nil ? step.payload : slots[slot].spliced
        if let splice = step.feeds {
            slots[slot].spliced.clear(minimumCapacity: splice.messageLength)
            slots[slot].spliced.writeImmutableBuffer(splice.prefix)
            slots[slot].splicedBytes = 0
        }
        let isLast = slots[slot].step == slots[slot].steps.count - 1
        link.send(step, payload: payload, slot: slot, isSampled: isLast && sampledSlot == slot)
        if unflushed.last !== link { unflushed.append(link) }
    }

    private func end(_ slot: Int, failure: String?, at now: UInt64) {
        recorder.record(intended: slots[slot].intended, ended: now, failure: failure)
        slots[slot].isBusy = false
        busy -= 1
        if slot == sampledSlot { sampledSlot = nil }
        playNext(slot, at: now)
    }

    /// - Returns: why the message cannot be completed, if so.
    private func completeSplice(_ splice: PreparedSplice, in slot: Int) -> String? {
        guard slots[slot].splicedBytes == splice.length else {
            return "reply of \(slots[slot].splicedBytes) bytes where \(splice.length) are to be spliced in"
        }
        slots[slot].spliced.writeImmutableBuffer(splice.suffix)
        return nil
    }

    private func flush() {
        for link in unflushed { link.flush() }
        unflushed.removeAll(keepingCapacity: true)
    }
}

// MARK: - Open loop

extension Player {
    /// Starts what should have started by now.
    private func playArrivals(at now: UInt64) {
        guard isIssuing else { return }
        while let next = arrivals?.next, next <= now, next < recorder.window.end {
            arrivals?.advance()
            if let slot = nextFree() {
                play(slot, intended: next, at: now)
            } else {
                backlog.append(next)
            }
        }
        if backlog.count > part.backlogLimit { return giveUp("overload", times: backlog.count, at: now) }
        setArrivalTimer()
    }

    private func nextFree() -> Int? {
        while let slot = free.popFirst() {
            // The slots of a connection that was closed come back when it is up again.
            if isReady(slots[slot].connection) && !slots[slot].isBusy { return slot }
        }
        return nil
    }

    private func setArrivalTimer() {
        guard !timerIsSet, let next = arrivals?.next, next < recorder.window.end else { return }
        timerIsSet = true
        setTimer(at: NIODeadline.uptimeNanoseconds(next)) { player in
            player.timerIsSet = false
            player.playArrivals(at: Clock.now())
            player.flush()
        }
    }

    private func giveUp(_ reason: String, times: Int = 1, at now: UInt64) {
        guard gaveUp == nil else { return }
        recorder.record(incident: reason, at: max(now, recorder.window.start), times: times)
        gaveUp = now
        backlog.removeAll()
        endWindow(at: max(now, recorder.window.start))
    }
}

// MARK: - Links

extension Player: LinkOwner {
    func linkIsUp(_ link: any Link) {
        let now = Clock.now()
        while connectedLinks < links.count && links[connectedLinks].isUp { connectedLinks += 1 }
        if let connected, connectedLinks == links.count {
            self.connected = nil
            connected.succeed()
        }
        guard isIssuing, isReady(link.connection) else { return }
        let pipeline = part.load.pipeline
        for slot in (link.connection * pipeline)..<((link.connection + 1) * pipeline) where !slots[slot].isBusy {
            playNext(slot, at: now)
        }
        flush()
    }

    func linkIsDown(_ link: any Link, because reason: String?, lost: [Int]) {
        guard !isStopped else { return }
        let text = reason ?? "connection to \(link.target.name) closed"
        guard connected == nil else { return failConnecting("\(place(link)): \(text)") }
        let now = Clock.now()
        for slot in lost { end(slot, failure: text, at: now) }
        flush()
        setTimer(in: lost.isEmpty ? .zero : Self.pauseBeforeReconnect) { player in player.connect(link) }
    }

    func capture(_ bytes: UnsafeRawBufferPointer, slot: Int) {
        let limit = slots[slot].steps[slots[slot].step].feeds?.length ?? 0
        slots[slot].splicedBytes += bytes.count
        if slots[slot].splicedBytes <= limit { slots[slot].spliced.writeBytes(bytes) }
    }

    func sample(_ bytes: UnsafeRawBufferPointer, slot: Int) {
        sample.append(contentsOf: bytes)
    }

    func replied(slot: Int, failure: String?, at now: UInt64) {
        if let failure { return end(slot, failure: failure, at: now) }
        let next = slots[slot].step + 1
        guard next < slots[slot].steps.count else { return end(slot, failure: nil, at: now) }
        if let splice = slots[slot].steps[next].splice, let failure = completeSplice(splice, in: slot) {
            return end(slot, failure: failure, at: now)
        }
        slots[slot].step = next
        sendStep(slot, at: now)
    }

    func readEnded(at now: UInt64) {
        if let next = arrivals?.next, next <= now { playArrivals(at: now) }
        flush()
    }

    /// Whether all links of a connection can be used.
    private func isReady(_ connection: Int) -> Bool {
        let count = part.playbook.targets.count
        for link in (connection * count)..<((connection + 1) * count) where !links[link].isUp { return false }
        return true
    }

    private func connect(_ link: any Link) {
        guard !isStopped, gaveUp == nil else { return }
        connector.connect(link).assumeIsolated().whenFailure { [weak self] error in
            self?.connectingFailed(link, error)
        }
    }

    private func connectingFailed(_ link: any Link, _ error: any Error) {
        guard !isStopped else { return }
        let text = "\(place(link)): \(describe(error))"
        guard connected == nil else { return failConnecting(text) }
        recorder.record(incident: text, at: Clock.now())
        setTimer(in: Self.pauseBeforeReconnect) { player in player.connect(link) }
    }

    private func failConnecting(_ text: String) {
        guard let connected else { return }
        self.connected = nil
        isStopped = true
        connected.fail(RunError.unreachable("cannot connect: \(text)"))
    }

    private func place(_ link: any Link) -> String {
        "\(link.target.name) (\(link.target.authority))"
    }
}

// MARK: - Timers

extension Player {
    /// Ends requests that wait too long, and the run when no connection is left.
    private func check() {
        guard !isStopped else { return }
        let now = Clock.now()
        for link in links {
            if let slot = link.oldestWaiting, now > slots[slot].started + part.timeout {
                link.close(because: "timeout")
            }
        }
        if links.contains(where: \.isUp) { lastSeenConnected = now }
        if now > lastSeenConnected + Self.longestLoneliness { giveUp("no connection left", at: now) }
        setTimer(in: Self.checkInterval) { player in player.check() }
    }

    private func setTimer(in amount: TimeAmount, _ action: @escaping (Player) -> Void) {
        setTimer(at: .now() + amount, action)
    }

    /// A timer that the event loop cannot set is one that it does not need: it is being shut down.
    private func setTimer(at time: NIODeadline, _ action: @escaping (Player) -> Void) {
        let timer = PlayerTimer(player: self, action: action)
        _ = try? eventLoop.assumeIsolated().scheduleCallback(at: time, handler: timer)
    }
}

private struct PlayerTimer: NIOScheduledCallbackHandler {
    weak var player: Player?
    let action: (Player) -> Void

    func handleScheduledCallback(eventLoop: some EventLoop) {
        if let player { action(player) }
    }
}
