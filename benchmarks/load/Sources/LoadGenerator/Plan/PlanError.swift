/// Why a plan cannot be run. The text names the place in the JSON.
public struct PlanError: Error, Equatable, CustomStringConvertible {
    public let description: String

    init(_ description: String) {
        self.description = description
    }

    init(_ error: DecodingError) {
        func place(_ path: [any CodingKey]) -> String {
            path.reduce("plan") { text, key in key.intValue.map { "\(text)[\($0)]" } ?? "\(text).\(key.stringValue)" }
        }
        switch error {
        case .keyNotFound(let key, let context):
            self.init("\(place(context.codingPath + [key])) is missing")
        case .typeMismatch(let type, let context):
            self.init("\(place(context.codingPath)) is not of type \(type)")
        case .valueNotFound(let type, let context):
            self.init("\(place(context.codingPath)) is null, but should be of type \(type)")
        case .dataCorrupted(let context):
            let cause = context.underlyingError.map { ": \($0)" } ?? ""
            self.init("\(place(context.codingPath)) is damaged: \(context.debugDescription)\(cause)")
        @unknown default:
            self.init("plan cannot be read: \(error)")
        }
    }
}
