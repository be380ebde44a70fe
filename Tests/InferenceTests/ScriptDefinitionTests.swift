import Inference
import TestSupport
import Testing

/// Scripts come from where strings were C strings: texts end at their first NUL.
@Suite struct ScriptDefinitionTests {
    private static let texts = [
        ("", ""), ("abc", "abc"), ("a\0b\0c", "a"), ("\0abc", ""), ("abc\0", "abc"), ("é\0", "é"),
    ]

    @Test(arguments: texts)
    func `a source ends at its first NUL`(text: String, kept: String) throws {
        #expect(try ScriptDefinition.fake(source: text).source == Array(kept.utf8))
    }

    @Test(arguments: texts)
    func `so does each key and each argument`(text: String, kept: String) {
        let call = ScriptCall(
            function: "f", keys: [Array(text.utf8), [1]], arguments: [[2], Array(text.utf8)], server: FakeServer())
        #expect(call.keys == [Array(kept.utf8), [1]])
        #expect(call.arguments == [[2], Array(kept.utf8)])
    }

    @Test func `a script is known as one`() throws {
        let definition = try ScriptDefinition.fake(key: "s", tag: "v1", entryPoints: ["f", "g"])
        #expect(definition.identity.kind == .script)
        #expect(definition.identity.key == Array("s".utf8))
        #expect(definition.identity.tag == Array("v1".utf8))
        #expect(definition.entryPoints == ["f", "g"])
    }

    @Test func `keys and tags keep their NULs`() throws {
        let definition = try ScriptDefinition.fake(key: "a\0b", tag: "c\0d")
        #expect(definition.identity.key == Array("a\0b".utf8))
        #expect(definition.identity.tag == Array("c\0d".utf8))
    }
}
