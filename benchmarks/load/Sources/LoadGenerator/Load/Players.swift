import NIOCore
import NIOPosix

/// Players with an event loop and a thread for each.
struct Players {
    private let group: MultiThreadedEventLoopGroup
    private let members: [Member]

    private struct Member {
        let eventLoop: any EventLoop
        let player: NIOLoopBound<Player>
    }

    /// - Parameter makePart: what the player with an index does.
    init(count: Int, makePart: @escaping @Sendable (Int) -> Player.Part) throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: count)
        self.group = group
        members = try group.makeIterator().enumerated().map { index, eventLoop in
            let player = try eventLoop.submit {
                NIOLoopBound(Player(makePart(index), eventLoop: eventLoop), eventLoop: eventLoop)
            }.wait()
            return Member(eventLoop: eventLoop, player: player)
        }
    }

    /// Connects all links.
    /// - Throws: `RunError.unreachable` for the first that fails.
    func connect() throws {
        let connecting = members.map { member in
            member.eventLoop.flatSubmit { [player = member.player] in player.value.connect() }
        }
        for future in connecting { try future.wait() }
    }

    /// Asks each player on its event loop.
    @discardableResult
    func map<Answer: Sendable>(_ question: @escaping @Sendable (Player) -> Answer) throws -> [Answer] {
        let answers = members.map { member in
            member.eventLoop.submit { [player = member.player] in question(player.value) }
        }
        return try answers.map { try $0.wait() }
    }

    func shutDown() {
        // It fails only when it has been done before.
        try? group.syncShutdownGracefully()
    }
}
