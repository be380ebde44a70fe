import FoundationEssentials

/// What a run does: which requests are sent where, how, for how long, and what is watched meanwhile.
///
/// The README beside the package describes the JSON.
public struct Plan: Sendable {
    public let label: String
    let seed: Int
    let targets: [String: Target]
    let requests: [Request]
    let inferencesPerRequest: Int
    public let load: Load
    /// Event loops that share the connections, each with a thread of its own.
    let threads: Int
    let warmUpSeconds: Double
    public let seconds: Double
    /// How long a request may be under way, and how long the answers are waited for after the last request.
    let timeoutSeconds: Double
    let processes: [WatchedProcess]
    let ping: Ping?

    enum Wire: String, Decodable, Sendable {
        case resp, http1, grpc
    }

    struct Target: Decodable, Sendable, Equatable {
        let wire: Wire
        let host: String
        let port: Int

        enum CodingKeys: String, CodingKey {
            case wire = "protocol"
            case host, port
        }
    }

    struct Request: Decodable, Sendable {
        let steps: [Step]
    }

    /// One message of a request. The steps of a request run one after the other.
    struct Step: Sendable {
        let target: String
        let payload: Data
        /// The method, `/service/Method`, of a gRPC target.
        let path: String?
        /// How many replies a RESP payload asks for.
        let replies: Int
        let splice: Splice?
    }

    /// The bytes of a payload that the previous step's reply replaces.
    struct Splice: Decodable, Sendable, Equatable {
        let offset: Int
        let length: Int
    }

    /// A process that is watched together with all its descendants.
    struct WatchedProcess: Decodable, Sendable {
        let name: String
        let pid: Int32
    }

    /// PINGs on a connection and a thread of their own, as an open loop of so many per second.
    struct Ping: Decodable, Sendable {
        let target: String
        let rate: Double
    }
}

extension Plan.Step: Decodable {
    enum CodingKeys: String, CodingKey {
        case target, payload, path, replies, splice
    }

    init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        target = try values.decode(String.self, forKey: .target)
        payload = try values.decode(Data.self, forKey: .payload)
        path = try values.decodeIfPresent(String.self, forKey: .path)
        replies = try values.decodeIfPresent(Int.self, forKey: .replies) ?? 1
        splice = try values.decodeIfPresent(Plan.Splice.self, forKey: .splice)
    }
}

extension Plan: Decodable {
    enum CodingKeys: String, CodingKey {
        case label, seed, targets, requests, load, threads, seconds, processes, ping
        case inferencesPerRequest = "inferences_per_request"
        case warmUpSeconds = "warm_up_seconds"
        case timeoutSeconds = "timeout_seconds"
    }

    public init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        label = try values.decode(String.self, forKey: .label)
        seed = try values.decode(Int.self, forKey: .seed)
        targets = try values.decode([String: Target].self, forKey: .targets)
        requests = try values.decode([Request].self, forKey: .requests)
        inferencesPerRequest = try values.decodeIfPresent(Int.self, forKey: .inferencesPerRequest) ?? 1
        load = try values.decode(Load.self, forKey: .load)
        threads = try values.decodeIfPresent(Int.self, forKey: .threads) ?? 1
        warmUpSeconds = try values.decodeIfPresent(Double.self, forKey: .warmUpSeconds) ?? 0
        seconds = try values.decode(Double.self, forKey: .seconds)
        timeoutSeconds = try values.decodeIfPresent(Double.self, forKey: .timeoutSeconds) ?? 10
        processes = try values.decodeIfPresent([WatchedProcess].self, forKey: .processes) ?? []
        ping = try values.decodeIfPresent(Ping.self, forKey: .ping)
    }
}
