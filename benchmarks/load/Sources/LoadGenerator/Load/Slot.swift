import NIOCore

/// Room for one request under way.
struct Slot {
    let connection: Int
    var steps: [PreparedStep] = []
    var step = 0
    /// When the request should have started.
    var intended: UInt64 = 0
    /// When it did.
    var started: UInt64 = 0
    var isBusy = false
    /// The next step's message, as far as replies have filled it.
    var spliced = ByteBuffer()
    /// Bytes of the reply that went into it.
    var splicedBytes = 0
}
