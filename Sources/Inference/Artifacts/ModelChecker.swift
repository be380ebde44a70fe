internal import CLinux
internal import Glibc

/// Tries a model or script out in a process of its own before the server loads it.
///
/// A model is a program that somebody sent. Engines are written for programs of friends: a file of two hundred bytes can
/// make one abort, allocate without end or calculate for hours while it builds the model. In a process with limits that
/// costs an error reply; in the server it would cost the data.
public struct ModelChecker: Sendable {
    private let program: String
    /// Milliseconds that building a model may take.
    let timeout: Int

    /// - Parameters:
    ///   - program: the path of `redisai-model-check`.
    ///   - timeout: milliseconds that building a model may take.
    public init(program: String, timeout: Int) {
        self.program = program
        self.timeout = timeout
    }

    /// Throws the engine's text for what it refuses, or one of our own for what it does not survive. Takes as long as
    /// loading.
    func check(_ request: ModelCheckRequest, _ content: ModelBlob) throws(InferenceError) {
        guard let answer = ask(request, content) else {
            throw InferenceError("ERR the model could not be tried out: \(String(cString: strerror(errno)))")
        }
        switch ModelCheckAnswer(answer) {
        case .usable: return
        case .refused(let text): throw InferenceError(text)
        case .none:
            throw InferenceError(
                "ERR the engine did not survive loading the model, or took longer than \(timeout) milliseconds")
        }
    }

    /// Runs the program and returns what it says; nil when it cannot be run.
    private func ask(_ request: ModelCheckRequest, _ blob: ModelBlob) -> [UInt8]? {
        let model = linux_memory_file("redisai-model")
        guard model >= 0 else { return nil }
        defer { close(model) }
        guard write(blob, to: model) else { return nil }
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { return nil }
        let process = spawn(request, input: model, output: ends[1])
        close(ends[1])
        guard process > 0 else {
            close(ends[0])
            return nil
        }
        let (answer, isCollected) = readAnswer(ends[0], of: process)
        // Before the wait: a process that still has something to say must not wait for a reader.
        close(ends[0])
        if !isCollected { waitpid(process, nil, 0) }
        return answer
    }

    private func spawn(_ request: ModelCheckRequest, input: Int32, output: Int32) -> pid_t {
        let arguments = [program] + request.arguments
        var pointers = arguments.map { strdup($0) } + [nil]
        defer { for pointer in pointers { free(pointer) } }
        return linux_spawn(program, &pointers, input, output)
    }

    private func write(_ blob: ModelBlob, to file: Int32) -> Bool {
        blob.chunks.allSatisfy { chunk in
            chunk.withBytes { bytes in
                var rest = bytes
                while !rest.isEmpty {
                    let count = Glibc.write(file, rest.baseAddress, rest.count)
                    guard count > 0 else { return false }
                    rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(count))
                }
                return true
            }
        } && lseek(file, 0, SEEK_SET) == 0
    }

    /// Reads until the answer is complete or the process has ended. Not until the end of the file: a process that the
    /// server forked in between holds the other end of the pipe as well. Its number may be another process's once it has
    /// been collected, here or (which counts as well) by the server.
    private func readAnswer(_ file: Int32, of process: pid_t) -> (answer: [UInt8], isCollected: Bool) {
        var answer: [UInt8] = []
        var hasEnded = false
        while !ModelCheckAnswer.isComplete(answer) {
            var event = pollfd(fd: file, events: Int16(POLLIN), revents: 0)
            if poll(&event, 1, hasEnded ? 0 : 100) > 0 {
                var buffer = [UInt8](repeating: 0, count: 4_096)
                let count = read(file, &buffer, buffer.count)
                guard count > 0 else { break }
                answer.append(contentsOf: buffer.prefix(count))
            } else if hasEnded {
                break
            } else {
                hasEnded = waitpid(process, nil, WNOHANG) != 0
            }
        }
        return (answer, hasEnded)
    }
}

/// What the server asks of `redisai-model-check`, as command line. The model itself is its standard input.
public struct ModelCheckRequest: Equatable, Sendable {
    public let backend: String
    public let library: String
    public let device: String
    /// Bytes that the engine may allocate; 0 for no limit of its own.
    public let memoryLimit: Int
    /// Milliseconds that building the model may take.
    public let timeout: Int
    public let allowsUnsafeOperations: Bool
    public let kind: ArtifactIdentity.Kind
    /// Names given by the client, for engines that take them. Of a script, its entry points.
    public let inputNames: [String]
    public let outputNames: [String]

    public init(
        backend: String, library: String, device: String, memoryLimit: Int, timeout: Int,
        allowsUnsafeOperations: Bool = false, kind: ArtifactIdentity.Kind = .model, inputNames: [String] = [],
        outputNames: [String] = []
    ) {
        self.backend = backend
        self.library = library
        self.device = device
        self.memoryLimit = memoryLimit
        self.timeout = timeout
        self.allowsUnsafeOperations = allowsUnsafeOperations
        self.kind = kind
        self.inputNames = inputNames
        self.outputNames = outputNames
    }

    init(
        _ identity: ArtifactIdentity, library: String, timeout: Int, settings: EngineSettings, inputNames: [String],
        outputNames: [String]
    ) {
        self.init(
            backend: identity.backend.name, library: library, device: identity.device.name,
            memoryLimit: settings.memoryLimit, timeout: timeout,
            allowsUnsafeOperations: settings.allowsUnsafeOperations, kind: identity.kind, inputNames: inputNames,
            outputNames: outputNames)
    }

    /// The arguments after the program's name. The last ones may be left out by somebody who types them.
    public var arguments: [String] {
        [
            backend, library, device, String(memoryLimit), String(timeout), allowsUnsafeOperations ? "YES" : "NO",
            kind.rawValue, String(inputNames.count),
        ] + inputNames + outputNames
    }

    public init?(arguments: [String]) {
        guard arguments.count >= 5, let memoryLimit = Int(arguments[3]), let timeout = Int(arguments[4]),
            let kind = arguments.count > 6 ? ArtifactIdentity.Kind(rawValue: arguments[6]) : .model
        else { return nil }
        let names = arguments.dropFirst(8)
        let inputCount = arguments.count > 7 ? Int(arguments[7]) ?? -1 : 0
        guard (0...names.count).contains(inputCount) else { return nil }
        self.init(
            backend: arguments[0], library: arguments[1], device: arguments[2], memoryLimit: memoryLimit,
            timeout: timeout, allowsUnsafeOperations: arguments.count > 5 && arguments[5] == "YES", kind: kind,
            inputNames: Array(names.prefix(inputCount)), outputNames: Array(names.dropFirst(inputCount)))
    }
}

/// What `redisai-model-check` answers on its standard output. No answer means that it did not live to give one.
public enum ModelCheckAnswer: Equatable, Sendable {
    case usable
    /// The engine's text.
    case refused(String)

    private static let textLimit = 16_384
    private static let usableMark: UInt8 = 0x2B
    private static let refusedMark: UInt8 = 0x2D
    private static let end: UInt8 = 0

    /// The form on the wire: a mark, the text, a NUL.
    public var bytes: [UInt8] {
        switch self {
        case .usable: [Self.usableMark, Self.end]
        case .refused(let text):
            [Self.refusedMark] + text.utf8.filter { $0 != Self.end }.prefix(Self.textLimit) + [Self.end]
        }
    }

    /// Whether nothing more is to come, or more than an answer has.
    static func isComplete(_ bytes: [UInt8]) -> Bool {
        bytes.last == end || bytes.count > textLimit + 2
    }

    init?(_ bytes: [UInt8]) {
        guard bytes.last == Self.end else { return nil }
        let bytes = bytes.dropLast()
        switch bytes.first {
        case Self.usableMark: self = .usable
        case Self.refusedMark: self = .refused(String(decoding: bytes.dropFirst(), as: UTF8.self))
        default: return nil
        }
    }
}
