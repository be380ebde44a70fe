/// Where a model runs: `CPU`, `GPU`, `CPU:n` or `GPU:n`.
public struct Device: Sendable, Equatable {
    public enum Kind: Sendable {
        case cpu, gpu
    }

    /// The name with the case the client sent.
    public let name: String
    public let kind: Kind
    /// The number after the colon; nil for the default device.
    public let index: Int?

    /// Nil when the name is not a device's: `CPU` or `GPU`, in any case, alone or followed by a colon and at most
    /// five digits (none at all passes).
    public init?(_ name: String) {
        let upper = name.uppercased()
        switch upper.prefix(3) {
        case "CPU": kind = .cpu
        case "GPU": kind = .gpu
        default: return nil
        }
        let rest = upper.dropFirst(3)
        let digits = rest.dropFirst()
        guard rest.isEmpty || rest.first == ":", digits.utf8.count <= 5,
            digits.utf8.allSatisfy({ (0x30...0x39).contains($0) })
        else { return nil }
        self.name = name
        queueName = upper
        index = Int(digits)
    }

    /// Models whose devices have the same queue name share a queue. `CPU` and `CPU:0` do not.
    public let queueName: String

    public static func == (left: Device, right: Device) -> Bool {
        left.queueName == right.queueName
    }
}
