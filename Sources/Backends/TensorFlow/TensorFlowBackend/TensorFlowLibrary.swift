internal import BackendSupport
internal import CTensorFlow
internal import Glibc
internal import Inference

/// The opened TensorFlow library. Never closed: its threads and statics outlive every use.
final class TensorFlowLibrary: @unchecked Sendable {
    let functions: UnsafePointer<CTensorFlow>
    let version: String

    /// Opens the library at `path` and looks every function up that will be called.
    init(path: String) throws(InferenceError) {
        let library = try Self.openQuietly(path)
        let table = UnsafeMutablePointer<CTensorFlow>.allocate(capacity: 1)
        do throws(InferenceError) {
            try Self.resolve(library, path, into: table)
        } catch {
            table.deallocate()
            library.close()
            throw error
        }
        functions = UnsafePointer(table)
        // What of a run is too large becomes an error of that run. A library that is built otherwise goes without.
        _ = ctensorflow_limit_memory(library.address("TF_Version"), EngineSettings.machineMemoryLimit)
        version = Tf_Version(table).map { String(cString: $0) } ?? "unknown"
    }

    private static func resolve(
        _ library: SharedLibrary, _ path: String, into table: UnsafeMutablePointer<CTensorFlow>
    ) throws(InferenceError) {
        guard library.address("TF_Version") != nil else { throw InferenceError("\(path) is not TensorFlow") }
        let names = ctensorflow_function_names()
        let slots = UnsafeMutableRawPointer(table)
        for index in 0..<ctensorflow_function_count() {
            guard let name = names?[index].map({ String(cString: $0) }) else { continue }
            guard let address = library.address(name) else { throw InferenceError("\(path) has no \(name)") }
            slots.storeBytes(
                of: address, toByteOffset: index * MemoryLayout<UnsafeMutableRawPointer>.stride,
                as: UnsafeMutableRawPointer.self)
        }
    }
}

// MARK: Silence

extension TensorFlowLibrary {
    private static let silentLevel: Int32 = 4
    /// `absl::SetMinLogLevel` in the versions of Abseil that TensorFlow has been seen with.
    private static let logLevelSetters = ["_ZN4absl12lts_2025081414SetMinLogLevelENS0_18LogSeverityAtLeastE"]

    /// Opens the library so that nothing is written to the server's log, then or later: a failing run is the client's
    /// news, and is in the reply.
    private static func openQuietly(_ path: String) throws(InferenceError) -> SharedLibrary {
        setenv("TF_CPP_MIN_LOG_LEVEL", "3", 0)
        let library = try withoutErrorOutput { () throws(InferenceError) in try SharedLibrary(path: path) }
        for name in logLevelSetters {
            if let setLevel = try? library.function(name, as: CAbslSetMinLogLevel.self) { setLevel(silentLevel) }
        }
        return library
    }

    /// Runs `body` with standard error leading nowhere: static initialisers of the library write there before any
    /// setting of its log can be made.
    private static func withoutErrorOutput<Result>(
        _ body: () throws(InferenceError) -> Result
    ) throws(InferenceError) -> Result {
        let saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0)
        let nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC)
        if saved >= 0, nowhere >= 0 { dup2(nowhere, STDERR_FILENO) }
        defer {
            if saved >= 0, nowhere >= 0 { dup2(saved, STDERR_FILENO) }
            if saved >= 0 { close(saved) }
            if nowhere >= 0 { close(nowhere) }
        }
        return try body()
    }
}

// MARK: Results of calls

extension TensorFlowLibrary {
    /// Calls a function that reports through a status, and throws the status's text if it is an error.
    func checked<Result>(_ call: (OpaquePointer?) -> Result) throws(InferenceError) -> Result {
        guard let status = Tf_NewStatus(functions) else { throw .generic }
        defer { Tf_DeleteStatus(functions, status) }
        let result = call(status)
        guard Tf_GetCode(functions, status) == 0 else {
            throw Tf_Message(functions, status).map { InferenceError(String(cString: $0)) } ?? .generic
        }
        return result
    }

    /// As ``checked(_:)`` for a call whose failure means nothing to anybody.
    func unchecked(_ call: (OpaquePointer?) -> Void) {
        let status = Tf_NewStatus(functions)
        call(status)
        Tf_DeleteStatus(functions, status)
    }
}

extension InferenceError {
    static let generic = InferenceError("ERR Generic error")
}
