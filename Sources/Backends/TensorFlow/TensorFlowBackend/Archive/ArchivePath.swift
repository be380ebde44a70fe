/// The path of an archive's entry: plain names, outermost first.
struct ArchivePath: Hashable {
    let components: [[UInt8]]

    /// Nil for a path that leaves the folder it stands in. `.` and doubled slashes mean nothing.
    init?(_ bytes: some Sequence<UInt8>) {
        let bytes = Array(bytes)
        guard bytes.first != UInt8(ascii: "/"), !bytes.contains(0) else { return nil }
        components = bytes.split(separator: UInt8(ascii: "/")).map { Array($0) }.filter { $0 != [UInt8(ascii: ".")] }
        guard !components.contains(Array("..".utf8)) else { return nil }
    }

    private init(components: [[UInt8]]) {
        self.components = components
    }

    var isEmpty: Bool { components.isEmpty }

    /// For texts.
    var string: String {
        components.map { String(decoding: $0, as: UTF8.self) }.joined(separator: "/")
    }

    /// The path within the outermost folder; nil for something that stands in no folder.
    var withoutFirst: ArchivePath? {
        components.count > 1 ? ArchivePath(components: Array(components.dropFirst())) : nil
    }
}
