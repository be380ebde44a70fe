internal import Tensors

@testable import Inference
@testable import LiteRTBackend
@testable import ONNXRuntimeBackend
@testable import TensorFlowBackend

/// What reads bytes of strangers within the server's process, or within that which tries models out: everything that
/// Swift code parses. What the engines parse themselves is fuzzed through a server (`make fuzz`).
public enum FuzzedParser: String, CaseIterable, Sendable {
    case onnx
    case tflite
    case graph
    case savedModel
    case archive
    case tensor
    case strings
    case checkAnswer

    /// Reads bytes as the module does. Returns whether they were accepted; the process ends when they should have had an
    /// error and are worse than that.
    @discardableResult
    public func reads(_ bytes: UnsafeRawBufferPointer) -> Bool {
        switch self {
        case .checkAnswer: ModelCheckAnswer(Array(bytes)) != nil
        case .tensor: Self.readTensor(bytes)
        default: (try? check(bytes)) != nil
        }
    }

    private func check(_ bytes: UnsafeRawBufferPointer) throws(InferenceError) {
        switch self {
        case .onnx: _ = try ONNXModelInspection.check(bytes)
        case .tflite: try Self.checkLiteRT(bytes)
        case .graph: _ = try TFGraphReader.check(frozen: bytes, allowsUnsafeOperations: false)
        case .savedModel: try Self.checkSavedModel(bytes)
        case .archive: try Self.checkArchive(bytes)
        case .strings: _ = try LiteRTStrings.decode(bytes, Shape([Int(bytes.first ?? 0)]))
        case .tensor, .checkAnswer: break
        }
    }

    /// A file that is accepted has to be accepted as well with copies of its outputs, which the module adds.
    private static func checkLiteRT(_ bytes: UnsafeRawBufferPointer) throws(InferenceError) {
        let graph = try LiteRTModelInspection.check(bytes, allowsUnsafeOperations: false)
        guard !graph.copiedTensors.isEmpty else { return }
        let changed = try LiteRTOutputCopies.prefix(for: bytes, graph) + Array(bytes)
        let outputs = changed.withUnsafeBytes { changed in
            (try? LiteRTModelInspection.check(changed, allowsUnsafeOperations: false))?.outputs.count
        }
        precondition(outputs == graph.outputs.count, "copies of outputs make a good file bad")
    }

    private static func checkSavedModel(_ bytes: UnsafeRawBufferPointer) throws(InferenceError) {
        let model = try TFSavedModel(bytes)
        let names = try TFEndpointNames(model, inputNames: [], outputNames: [])
        try TFSavedModelInspection(model).check(fetches: names.outputs.map(\.node))
    }

    private static func checkArchive(_ bytes: UnsafeRawBufferPointer) throws(InferenceError) {
        guard let format = ArchiveFormat(bytes) else { throw .archiveDamaged }
        var limits = ArchiveLimits(archive: bytes.count)
        (limits.entries, limits.bytes) = (100, 1 << 20)
        let sink = CountingSink(limits)
        switch format {
        case .tar: try TarReader.read(ArchiveMemoryStream(bytes), limits, into: sink)
        case .gzip: try TarReader.read(InflateStream(bytes, .gzip), limits, into: sink)
        case .zip: try ZipReader.read(bytes, limits, into: sink)
        }
    }

    /// A header of four bytes (type, rank, two dimensions), and the blob.
    private static func readTensor(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard bytes.count >= 4 else { return false }
        let types = DataType.allCases
        let type = types[Int(bytes[0]) % types.count]
        let shape = Shape((0..<Int(bytes[1] % 3)).map { Int(Int8(bitPattern: bytes[2 + $0])) })
        let blob = UnsafeRawBufferPointer(rebasing: bytes[4...])
        guard let tensor = try? Tensor(type, shape, blob: blob) else { return false }
        var count = 0
        tensor.forEachElement { _ in count += 1 }
        precondition(count == shape.elementCount, "another number of elements than the shape says")
        precondition(tensor.byteCount == blob.count, "bytes lost or made up")
        return true
    }
}

/// Takes what comes and counts it, as the folder for unpacked models does.
private final class CountingSink: ArchiveSink {
    private let limits: ArchiveLimits
    private var entries = 0
    private var bytes = 0
    private var missing = 0

    init(_ limits: ArchiveLimits) {
        self.limits = limits
    }

    func begin(_ path: [UInt8], kind: ArchiveEntryKind, size: Int) throws(InferenceError) -> Bool {
        entries += 1
        guard entries <= limits.entries else { throw .archiveTooManyFiles }
        guard size >= 0, size <= limits.bytes - bytes else { throw .archiveTooLarge }
        guard let path = ArchivePath(path) else { throw .archive("it leads out of the archive") }
        precondition(!path.components.contains { $0 == Array("..".utf8) || $0.contains(0) || $0.isEmpty })
        bytes += size
        missing = kind == .file ? size : 0
        return kind == .file
    }

    func append(_ piece: UnsafeRawBufferPointer) throws(InferenceError) {
        guard piece.count <= missing else { throw .archiveDamaged }
        missing -= piece.count
    }

    func end() throws(InferenceError) {
        guard missing == 0 else { throw .archiveDamaged }
    }
}
