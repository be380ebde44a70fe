import Testing

@testable import Inference

@Suite struct SHA256Tests {
    private func digest(_ pieces: [[UInt8]]) -> String {
        var hash = SHA256()
        for piece in pieces { piece.withUnsafeBytes { hash.update($0) } }
        return hash.finalize().map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    /// The examples of the standard.
    @Test(arguments: [
        ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
        ),
    ])
    func `give the standard's digests`(text: String, expected: String) {
        #expect(digest([Array(text.utf8)]) == expected)
    }

    /// `a` so many times, around the limits of blocks and of their padding.
    @Test(arguments: [
        (0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        (1, "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"),
        (55, "9f4390f8d30c2dd92ec9f095b65e2b9ae9b0a925a5258e241c9f1e910f734318"),
        (56, "b35439a4ac6f0948b6d6f9e3c6af0f5f590ce20f1bde7090ef7970686ec6738a"),
        (63, "7d3e74a05d7db15bce4ad9ec0658ea98e3f06eeecf16b4c6fff2da457ddc2f34"),
        (64, "ffe054fe7ae0cb6dc65c3af9b61d5209f439851db43d0ba5997337df154668eb"),
        (65, "635361c48bb9eab14198e76ea8ab7f1a41685d6ad62aa9146d301d4f17eb0ae0"),
        (119, "31eba51c313a5c08226adf18d4a359cfdfd8d2e816b13f4af952f7ea6584dcfb"),
        (120, "2f3d335432c70b580af0e8e1b3674a7c020d683aa5f73aaaedfdc55af904c21c"),
        (127, "c57e9278af78fa3cab38667bef4ce29d783787a2f731d4e12200270f0c32320a"),
        (128, "6836cf13bac400e9105071cd6af47084dfacad4e5e302c94bfed24e013afb73e"),
        (1000000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"),
    ])
    func `give the digests that sha256sum gives`(count: Int, expected: String) {
        #expect(digest([[UInt8](repeating: UInt8(ascii: "a"), count: count)]) == expected)
    }

    @Test func `do not depend on the pieces`() {
        let bytes = (0..<400).map { UInt8(truncatingIfNeeded: $0 &* 37) }
        let whole = digest([bytes])
        for size in 1...200 {
            let pieces = stride(from: 0, to: bytes.count, by: size).map { Array(bytes[$0..<min($0 + size, bytes.count)]) }
            #expect(digest(pieces) == whole)
            #expect(digest([[]] + pieces + [[]]) == whole)
        }
    }
}

@Suite struct DigestListTests {
    private let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

    private func allows(_ text: String, _ content: String) -> Bool? {
        guard let list = DigestList(text.utf8) else { return nil }
        do throws(InferenceError) {
            try list.check(ModelBlob([ByteArray(Array(content.utf8))]))
            return true
        } catch {
            #expect(error.message.hasPrefix("ERR not among those that MODEL_DIGESTS allows: SHA-256 "))
            return false
        }
    }

    @Test func `hold what they name`() {
        for text in [abc, abc.uppercased(), "\(abc)  model.onnx\n", "\r\n# \(abc)\n\n\(abc) *x", "\(abc)\n\(abc)"] {
            #expect(allows(text, "abc") == true)
            #expect(allows(text, "abd") == false)
        }
    }

    @Test func `hold nothing when they are empty`() {
        for text in ["", "\n", "# \(abc)"] { #expect(allows(text, "abc") == false) }
    }

    @Test func `are refused when a line is something else`() {
        for text in ["x", "\(abc.dropLast())", "\(abc)0", " \(abc)", "\(abc)\tx", "\(abc.dropLast())g", "\(abc)\nx"] {
            #expect(allows(text, "abc") == nil)
        }
        #expect(DigestList(file: "/no/such/file") == nil)
        #expect(DigestList(file: "/") == nil)
    }
}
