internal import Glibc
internal import Inference

/// The model on standard input: a file, mapped.
final class StandardInput: ByteSource, @unchecked Sendable {
    private let base: UnsafeRawPointer
    let byteCount: Int

    init() throws(InferenceError) {
        var status = stat()
        guard fstat(STDIN_FILENO, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            throw InferenceError("the model must be a file on standard input")
        }
        byteCount = Int(status.st_size)
        // An empty file cannot be mapped; what is wrong with it is the engine's to say.
        let memory = byteCount == 0 ? malloc(1) : mmap(nil, byteCount, PROT_READ, MAP_PRIVATE, STDIN_FILENO, 0)
        guard let memory, memory != MAP_FAILED else {
            throw InferenceError("the model on standard input cannot be read")
        }
        base = UnsafeRawPointer(memory)
    }

    func withBytes<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try body(UnsafeRawBufferPointer(start: base, count: byteCount))
    }
}
