internal import Glibc
internal import Inference

/// A SavedModel's files in a folder that only this process's user can enter, for as long as the object lives.
///
/// Files are written under numbers, and only those that a SavedModel has. What the archive calls them is looked at when
/// all have come; then they get the few names that the library reads. No name from the archive reaches the file system
/// unchecked.
final class UnpackedSavedModel {
    private let folder: PrivateFolder
    private let limits: ArchiveLimits
    private var entries = 0
    private var bytes = 0
    /// Every path of the archive, in any folder.
    private var seen: Set<ArchivePath> = []
    private var files: [(path: ArchivePath, number: Int)] = []
    private var writing: Int32 = -1
    private var missing = 0

    /// Unpacks an archive. The folder is gone when this throws, and when the object goes.
    ///
    /// - Throws: `ERR SavedModel archive: …`
    init(
        _ archive: UnsafeRawBufferPointer, _ format: ArchiveFormat, limits: ArchiveLimits? = nil
    ) throws(InferenceError) {
        self.limits = limits ?? ArchiveLimits(archive: archive.count)
        folder = try PrivateFolder()
        switch format {
        case .tar: try TarReader.read(ArchiveMemoryStream(archive), self.limits, into: self)
        case .gzip: try TarReader.read(InflateStream(archive, .gzip), self.limits, into: self)
        case .zip: try ZipReader.read(archive, self.limits, into: self)
        }
        try giveNames()
    }

    deinit {
        closeFile()
    }

    /// The folder that the library is told to load from.
    var path: String { folder.recurringPath + "/model" }

    /// Bytes of the files that the library reads.
    private(set) var byteCount = 0

    /// Calls `body` with the bytes of `saved_model.pb`.
    func withDefinition<Result>(
        _ body: (UnsafeRawBufferPointer) throws(InferenceError) -> Result
    ) throws(InferenceError) -> Result {
        let file = open(path + "/saved_model.pb", O_RDONLY | O_NOFOLLOW | O_CLOEXEC)
        guard file >= 0 else { throw .folderFailed }
        defer { close(file) }
        var status = stat()
        guard fstat(file, &status) == 0 else { throw .folderFailed }
        let count = Int(status.st_size)
        guard count > 0 else { return try body(UnsafeRawBufferPointer(start: nil, count: 0)) }
        guard let memory = mmap(nil, count, PROT_READ, MAP_PRIVATE, file, 0), memory != MAP_FAILED else {
            throw .folderFailed
        }
        defer { munmap(memory, count) }
        return try body(UnsafeRawBufferPointer(start: memory, count: count))
    }
}

// MARK: Names

extension UnpackedSavedModel {
    /// What the library reads of a SavedModel. Other files of the folder, among them further forms of the model that the
    /// library would prefer, are left out.
    private static func isPart(_ path: ArchivePath) -> Bool {
        let names = path.components.map { String(decoding: $0, as: UTF8.self) }
        return switch names.first {
        case "saved_model.pb": names.count == 1
        case "variables": names.count == 2
        case "assets": names.count >= 2
        default: false
        }
    }

    private func giveNames() throws(InferenceError) {
        let name = [Array("saved_model.pb".utf8)]
        let isAtTop = files.contains { $0.path.components == name }
        let tops = Set(files.filter { $0.path.withoutFirst?.components == name }.map { $0.path.components[0] })
        guard isAtTop || tops.count == 1 else {
            throw .archive(
                tops.isEmpty ? "there is no saved_model.pb in it" : "it holds more than one SavedModel")
        }
        try folder.makeFolder("model")
        for (path, number) in files {
            let isInside = isAtTop || path.components.first == tops.first
            guard isInside, let path = isAtTop ? path : path.withoutFirst, Self.isPart(path) else { continue }
            byteCount += try place(number, as: path)
        }
    }

    /// Gives a file its name below `model`.
    ///
    /// - Returns: its size in bytes.
    private func place(_ number: Int, as path: ArchivePath) throws(InferenceError) -> Int {
        var parent = "model"
        for component in path.components.dropLast() {
            parent += "/" + String(decoding: component, as: UTF8.self)
            try folder.makeFolder(parent)
        }
        return try folder.move(String(number), to: "model/" + path.string)
    }
}

// MARK: Writing

extension UnpackedSavedModel: ArchiveSink {
    /// Less than what ``PrivateFolder`` removes.
    private static let depthLimit = 32

    func begin(_ name: [UInt8], kind: ArchiveEntryKind, size: Int) throws(InferenceError) -> Bool {
        entries += 1
        guard entries <= limits.entries else { throw .archiveTooManyFiles }
        guard size >= 0, size <= limits.bytes - bytes else { throw .archiveTooLarge }
        let text = String(decoding: name.prefix(200), as: UTF8.self)
        guard let path = ArchivePath(name) else { throw .archive("\(text) leads out of the archive") }
        guard path.components.count <= Self.depthLimit else { throw .archive("folders within folders, too many") }
        guard kind == .file else {
            guard size == 0 else { throw .archiveDamaged }
            return false
        }
        bytes += size
        guard !path.isEmpty, seen.insert(path).inserted else { throw .archive("two files are named \(text)") }
        guard Self.isPart(path) || path.withoutFirst.map(Self.isPart) == true, isText(name) else { return false }
        try folder.create(String(entries), &writing)
        files.append((path, entries))
        missing = size
        return true
    }

    /// Names are made into text and back: that must not make another name of one.
    private func isText(_ name: [UInt8]) -> Bool {
        String(validating: name, as: UTF8.self) != nil
    }

    func append(_ piece: UnsafeRawBufferPointer) throws(InferenceError) {
        guard piece.count <= missing else { throw .archiveDamaged }
        missing -= piece.count
        var rest = piece
        while !rest.isEmpty {
            let count = write(writing, rest.baseAddress, rest.count)
            guard count > 0 else { throw .folderFailed }
            rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(count))
        }
    }

    func end() throws(InferenceError) {
        guard missing == 0 else { throw .archiveDamaged }
        closeFile()
    }

    private func closeFile() {
        if writing >= 0 { close(writing) }
        writing = -1
    }
}
