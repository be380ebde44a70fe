internal import CRedisModule
internal import Synchronization

/// A number that an operator can set when the module is loaded: `NAME value` on the load line, or `ai.name value` in
/// the server's configuration file. Shown by `CONFIG GET`.
public final class NumericOption: Sendable {
    /// Upper case, as on the load line.
    public let name: String
    public let defaultValue: Int
    /// What the load line may say. The default may lie outside: it then stands for "not set".
    public let accepted: ClosedRange<Int>
    private let current: Atomic<Int>

    public init(_ name: String, default defaultValue: Int, accepted: ClosedRange<Int>) {
        self.name = name
        self.defaultValue = defaultValue
        self.accepted = accepted
        current = Atomic(defaultValue)
    }

    public var value: Int { current.load(ordering: .relaxed) }

    /// Sets the value; false, and nothing changed, when it is not acceptable.
    public func set(_ value: Int) -> Bool {
        guard accepted.contains(value) else { return false }
        current.store(value, ordering: .relaxed)
        return true
    }

    /// Makes the server know the option. `CONFIG SET` cannot change it: queues and pools are sized once.
    fileprivate func register(_ module: ModuleContext) -> Bool {
        RedisModule_RegisterNumericConfig(
            module.raw, name.lowercased(), Int64(defaultValue), UInt32(RM_CONFIG_IMMUTABLE),
            Int64(min(defaultValue, accepted.lowerBound)), Int64(max(defaultValue, accepted.upperBound)),
            { _, option in Int64(NumericOption.behind(option)?.value ?? 0) },
            { _, value, option, _ in
                NumericOption.behind(option)?.current.store(Int(value), ordering: .relaxed)
                return RM_OK
            },
            nil, Unmanaged.passUnretained(self).toOpaque()) == RM_OK
    }

    private static func behind(_ pointer: UnsafeMutableRawPointer?) -> NumericOption? {
        pointer.map { Unmanaged<NumericOption>.fromOpaque($0).takeUnretainedValue() }
    }
}

/// The `NAME value` pairs of the load line.
public struct LoadArguments {
    private let argv: UnsafeMutablePointer<OpaquePointer?>?
    private let count: Int

    public init(_ argv: UnsafeMutablePointer<OpaquePointer?>?, _ argc: Int32) {
        self.argv = argv
        count = Int(argc)
    }

    /// Calls `apply` for each pair in order, the name in upper case. Returns the first pair that was refused, as
    /// text; an odd number of arguments is refused with its last.
    public func forEachPair(_ apply: (_ name: String, _ value: Argument) -> Bool) -> String? {
        guard let argv else { return nil }
        return Arguments.with(argv, Int32(clamping: count)) { Self.forEachPair(of: $0, apply) }
    }

    private static func forEachPair(
        of arguments: Arguments, _ apply: (_ name: String, _ value: Argument) -> Bool
    ) -> String? {
        for index in stride(from: 0, to: arguments.count, by: 2) {
            guard let name = arguments[index]?.text else { break }
            guard let value = arguments[index + 1] else { return name }
            guard apply(name.uppercased(), value) else { return "\(name) \(value.text)" }
        }
        return nil
    }
}

extension ModuleContext {
    /// Registers the options with the server and takes the values of its configuration file. The options must live
    /// as long as the process.
    public func register(_ options: [NumericOption]) -> Bool {
        guard RedisModule_Has_RegisterNumericConfig(), RedisModule_Has_LoadConfigs() else { return true }
        return options.allSatisfy { $0.register(self) } && RedisModule_LoadConfigs(raw) == RM_OK
    }
}
