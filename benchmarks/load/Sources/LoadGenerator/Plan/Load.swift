/// How requests follow each other.
public enum Load: Sendable, Equatable {
    /// Each connection keeps `pipeline` requests under way: the next one starts when one is answered.
    case closed(connections: Int, pipeline: Int)
    /// Requests start `rate` times per second, whether or not earlier ones are answered.
    case open(OpenLoad)

    public var connections: Int {
        switch self {
        case .closed(let connections, _): connections
        case .open(let load): load.connections
        }
    }

    /// Requests that may be under way on one connection.
    var pipeline: Int {
        switch self {
        case .closed(_, let pipeline): pipeline
        case .open(let load): load.pipeline
        }
    }
}

public struct OpenLoad: Sendable, Equatable {
    /// Requests per second over all connections.
    var rate: Double
    var connections: Int
    var pipeline = 1
    var arrivals = Arrivals.poisson

    enum Arrivals: String, Decodable, Sendable {
        case poisson, constant
    }
}

extension Load: Decodable {
    enum CodingKeys: String, CodingKey {
        case mode, connections, pipeline, rate, arrivals
    }

    enum Mode: String, Decodable {
        case closed, open
    }

    public init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        let connections = try values.decode(Int.self, forKey: .connections)
        let pipeline = try values.decodeIfPresent(Int.self, forKey: .pipeline) ?? 1
        switch try values.decode(Mode.self, forKey: .mode) {
        case .closed:
            self = .closed(connections: connections, pipeline: pipeline)
        case .open:
            self = .open(
                OpenLoad(
                    rate: try values.decode(Double.self, forKey: .rate), connections: connections, pipeline: pipeline,
                    arrivals: try values.decodeIfPresent(OpenLoad.Arrivals.self, forKey: .arrivals) ?? .poisson))
        }
    }
}
