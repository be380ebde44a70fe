import Glibc
import Inference
import Testing

@testable import TensorFlowBackend

@Suite struct TFArchiveTests {
    private static let files: [Archives.File] = [
        ("saved_model.pb", Array("definition".utf8)), ("variables/variables.index", [1, 2, 3]),
        ("assets/words/vocab.txt", Array(repeating: 7, count: 200_000)), ("empty", []),
    ]
    private static let inFolder = files.map { (path: "top/\($0.path)", content: $0.content) }

    private func unpack(_ archive: [UInt8], _ limits: ArchiveLimits? = nil) throws -> UnpackedSavedModel {
        try archive.withUnsafeBytes { bytes in
            guard let format = ArchiveFormat(bytes) else { throw InferenceError("no archive") }
            return try UnpackedSavedModel(bytes, format, limits: limits)
        }
    }

    private func refusal(_ archive: [UInt8], _ limits: ArchiveLimits? = nil) -> String? {
        do {
            _ = try unpack(archive, limits)
            return nil
        } catch let error as InferenceError {
            return error.message.hasPrefix("ERR SavedModel archive: ")
                ? String(error.message.dropFirst(24)) : "not ours: \(error.message)"
        } catch {
            return "\(error)"
        }
    }

    private func content(_ path: String) -> [UInt8]? {
        guard let file = fopen(path, "r") else { return nil }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        while case let byte = fgetc(file), byte >= 0 { bytes.append(UInt8(byte)) }
        return bytes
    }

    private func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

    @Test(arguments: [
        Archives.tar(files), Archives.tar(inFolder), Archives.gzip(Archives.tar(files)), Archives.zip(files),
        Archives.zip(inFolder), Archives.zip(files, isDeflated: false),
        Archives.tar(files.map { (path: "./\($0.path)", content: $0.content) }),
    ])
    func `what a SavedModel consists of is unpacked, and goes`(archive: [UInt8]) throws {
        var unpacked: UnpackedSavedModel? = try unpack(archive)
        let path = try #require(unpacked).path
        #expect(content("\(path)/saved_model.pb") == Array("definition".utf8))
        #expect(content("\(path)/variables/variables.index") == [1, 2, 3])
        #expect(content("\(path)/assets/words/vocab.txt")?.count == 200_000)
        #expect(!exists("\(path)/empty"))
        #expect(try #require(unpacked).byteCount == 200_013)
        var status = stat()
        #expect(stat("\(path)/..", &status) == 0 && status.st_mode & 0o777 == 0o700)
        unpacked = nil
        #expect(!exists("\(path)/.."))
    }

    @Test func `long names are read in both forms`() throws {
        let name = "assets/" + String(repeating: "n", count: 200)
        let start = Archives.tarEntry("saved_model.pb", [1])
        for entry in [Archives.paxPath(name), Archives.gnuPath(name)] {
            let unpacked = try unpack(start + entry + Archives.tarEntry("short", [2]))
            #expect(content("\(unpacked.path)/\(name)") == [2])
        }
    }

    @Test func `other forms of the model never reach the engine`() throws {
        let files: [Archives.File] = [
            ("assets/saved_model.pb", [1]), ("assets/saved_model.cpb", [2]), ("assets/saved_model.pbtxt", [3]),
        ]
        let path = try unpack(Archives.tar(files)).path
        #expect(!exists("\(path)/saved_model.cpb"))
        #expect(!exists("\(path)/saved_model.pbtxt"))
    }

    @Test(arguments: ["/etc/x", "../x", "a/../../x", "variables/../../../x", "saved_model.pb/.."])
    func `a path that leads out is refused`(path: String) {
        #expect(refusal(Archives.tar(Self.files + [(path, [1])])) == "\(path) leads out of the archive")
        #expect(refusal(Archives.zip(Self.files + [(path, [1])])) == "\(path) leads out of the archive")
    }

    @Test(arguments: ["1", "2", "3", "4", "6", "S", "M"] as [Character])
    func `links and devices are refused`(type: Character) {
        let entry = Archives.tarEntry("variables/link", type: type)
        #expect(refusal(entry + Archives.tar(Self.files)) == "variables/link is neither file nor folder")
    }

    @Test func `so is a link in a zip`() {
        let link = Archives.ZipEntry(path: "variables/x", content: Array("/etc/passwd".utf8), mode: 0o120_777)
        #expect(refusal(Archives.zip([link])) == "variables/x is neither file nor folder")
    }

    @Test func `two files of one name are refused`() {
        let twice: [Archives.File] = [("saved_model.pb", [1]), ("./saved_model.pb", [2])]
        #expect(refusal(Archives.tar(twice)) == "two files are named ./saved_model.pb")
    }

    @Test func `a file that is a folder too is refused`() {
        let files: [Archives.File] = [("saved_model.pb", [1]), ("assets/a", [2]), ("assets/a/b", [3])]
        #expect(refusal(Archives.tar(files))?.hasPrefix("it cannot be unpacked on the server: ") == true)
    }

    @Test func `an archive without, or with several models, is refused`() {
        #expect(refusal(Archives.tar([("x", [1])])) == "there is no saved_model.pb in it")
        #expect(refusal(Archives.tar([("a/b/saved_model.pb", [1])])) == "there is no saved_model.pb in it")
        let two: [Archives.File] = [("a/saved_model.pb", [1]), ("b/saved_model.pb", [1])]
        #expect(refusal(Archives.tar(two)) == "it holds more than one SavedModel")
    }

    @Test func `deep folders are refused`() {
        let path = "assets/" + String(repeating: "d/", count: 40) + "f"
        #expect(refusal(Archives.tar(Self.files + [(path, [1])])) == "folders within folders, too many")
    }

    @Test func `headers that are about nothing come to an end`() {
        var limits = ArchiveLimits(archive: 0)
        limits.entries = 2
        let headers = (0..<7).flatMap { _ in Archives.tarEntry("g", type: "g") }
        #expect(refusal(headers + Archives.tar([("saved_model.pb", [1])]), limits) == "it has too many entries")
    }

    @Test func `what a killed process has left is removed, what is in use is not`() throws {
        let used = try unpack(Archives.tar(Self.files))
        let parent = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
        let left = "\(parent)/\(PrivateFolder.prefix)left-by-a-test"
        try #require(mkdir(left, 0o700) == 0 && mkdir("\(left)/model", 0o700) == 0)
        PrivateFolder.removeAbandoned(in: parent)
        #expect(exists(left), "somebody may just be making it")
        PrivateFolder.removeAbandoned(in: parent, settledAfter: -1)
        #expect(!exists(left))
        #expect(exists("\(used.path)/saved_model.pb"))
    }

    @Test func `limits hold`() {
        var limits = ArchiveLimits(archive: 0)
        limits.entries = 3
        #expect(refusal(Archives.tar(Self.files), limits) == "it has too many entries")
        #expect(refusal(Archives.zip(Self.files), limits) == "it has too many entries")
        limits = ArchiveLimits(archive: 0)
        limits.bytes = 1_000
        #expect(refusal(Archives.tar(Self.files), limits) == "it unpacks to too many bytes")
        #expect(refusal(Archives.zip(Self.files), limits) == "it unpacks to too many bytes")
        #expect(ArchiveLimits(archive: 1).bytes == 64 << 20)
        #expect(ArchiveLimits(archive: 2 << 20).bytes == 128 << 20)
        #expect(ArchiveLimits(archive: .max).bytes == 4 << 30)
    }

    @Test func `sizes that lie are refused`() {
        let start = Archives.tarEntry("saved_model.pb", [1])
        #expect(refusal(start + Archives.tarEntry("variables/x", [1], size: 5_000)) == "it is cut short")
        #expect(refusal(start + Archives.tarEntry("variables/x", [1], size: 8 << 30)) == "it unpacks to too many bytes")
        #expect(refusal(start + Archives.tarEntry("variables/", [1], type: "5")) == "it is damaged")
        for size in [0, 1, 3, 1 << 20] {
            let entry = Archives.ZipEntry(path: "saved_model.pb", content: [1, 2], size: size)
            #expect(refusal(Archives.zip([entry])) == "it is damaged")
        }
    }

    @Test func `a zip that contradicts itself is refused`() {
        var entry = Archives.ZipEntry(path: "saved_model.pb", content: [1, 2], headerPath: "saved_model.pc")
        #expect(refusal(Archives.zip([entry])) == "it is damaged")
        entry = Archives.ZipEntry(path: "saved_model.pb", content: [1, 2], checksum: 7)
        #expect(refusal(Archives.zip([entry])) == "it is damaged")
    }

    @Test func `zips of other kinds are refused`() {
        let text = "it is a zip of a kind that is not supported; use a plain tar"
        #expect(refusal(Archives.zip([.init(path: "saved_model.pb", content: [1], flags: 1)])) == text)
        #expect(refusal(Archives.zip([.init(path: "saved_model.pb", content: [1], method: 12)])) == text)
        #expect(refusal(Archives.zip([.init(path: "saved_model.pb", content: [1], size: 0xFFFF_FFFF)])) == text)
    }

    @Test(arguments: [Archives.tar(files), Archives.gzip(Archives.tar(files)), Archives.zip(files)])
    func `an archive cut anywhere is refused, or was only padding`(archive: [UInt8]) {
        for count in stride(from: 512, to: archive.count - 2_000, by: 4_999) {
            #expect(refusal(Array(archive.prefix(count))) != nil)
        }
    }

    @Test func `the formats are told apart`() {
        func format(_ bytes: [UInt8]) -> ArchiveFormat? { bytes.withUnsafeBytes { ArchiveFormat($0) } }
        #expect(format(Archives.tar(Self.files)) == .tar)
        #expect(format(Archives.zip(Self.files)) == .zip)
        #expect(format(Archives.gzip([])) == .gzip)
        #expect(format(Graphs.product()) == nil)
        #expect(format(Graphs.weighted(count: 1_000)) == nil)
        #expect(format([]) == nil)
        #expect(format([UInt8](repeating: 0, count: 1_024)) == nil)
    }
}
