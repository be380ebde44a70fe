internal import Glibc

/// The models and scripts that may be built, by the SHA-256 of their bytes.
public struct DigestList: Sendable {
    private let digests: Set<[UInt8]>

    /// Reads a file as `sha256sum` writes it: a line for each digest, 64 hexadecimal digits and perhaps a blank and more. Empty
    /// lines and lines that begin with `#` do not count. Nil when there is no such file, or another line in it.
    public init?(file path: String) {
        guard let text = Self.contents(of: path) else { return nil }
        self.init(text)
    }

    init?(_ text: some Sequence<UInt8>) {
        var digests: Set<[UInt8]> = []
        for line in Array(text).split(whereSeparator: { $0 == UInt8(ascii: "\n") || $0 == UInt8(ascii: "\r") }) {
            if line.first == UInt8(ascii: "#") { continue }
            guard let digest = Self.digest(line.prefix { $0 != UInt8(ascii: " ") }) else { return nil }
            digests.insert(digest)
        }
        self.digests = digests
    }

    /// Refuses what is not on the list. Reads all of it: not for the main thread.
    func check(_ content: ModelBlob) throws(InferenceError) {
        var hash = SHA256()
        for chunk in content.chunks { chunk.withBytes { hash.update($0) } }
        let digest = hash.finalize()
        guard digests.contains(digest) else { throw .notOnDigestList(Self.hexadecimal(digest)) }
    }

    private static func digest(_ digits: some Collection<UInt8>) -> [UInt8]? {
        guard digits.count == 64 else { return nil }
        let values = digits.compactMap { Character(UnicodeScalar($0)).hexDigitValue }.map { UInt8($0) }
        guard values.count == 64 else { return nil }
        return stride(from: 0, to: 64, by: 2).map { values[$0] << 4 | values[$0 + 1] }
    }

    private static func hexadecimal(_ bytes: [UInt8]) -> String {
        let digits = Array("0123456789abcdef")
        return String(bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] })
    }

    private static func contents(of path: String) -> [UInt8]? {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var contents: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = piece.withUnsafeMutableBytes { read(file, $0.baseAddress, $0.count) }
            guard count > 0 else { return count == 0 ? contents : nil }
            contents += piece.prefix(count)
        }
    }
}

// MARK: Texts

extension InferenceError {
    static func notOnDigestList(_ digest: String) -> InferenceError {
        InferenceError("ERR not among those that MODEL_DIGESTS allows: SHA-256 \(digest)")
    }
}
