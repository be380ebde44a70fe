import Tensors
import TestSupport
import Testing

/// STRING tensors from values, as AI.TENSORSET's VALUES and the engines give them.
@Suite struct TensorStringsTests {
    @Test func `stores each string with one NUL`() throws {
        let tensor = try makeTensor(strings: ["one", "", "three"], [3, 1])
        #expect(tensor.dataType == .string)
        #expect(tensor.shape == [3, 1])
        #expect(tensor.storedBytes == Array("one\0\0three\0".utf8))
        #expect(tensor.strings == ["one", "", "three"])
    }

    @Test(arguments: [("a\0", "a"), ("\0", ""), ("ab", "ab")])
    func `a trailing NUL makes no difference`(value: String, stored: String) throws {
        try #expect(makeTensor(strings: ["x", value, "y"]).strings == ["x", stored, "y"])
    }

    @Test(arguments: ["a\0b", "\0a", "a\0\0", "\0\0", "a\0b\0"])
    func `refuses a NUL inside, in whatever element`(value: String) {
        #expect(throws: TensorError.stringContainsNull) { try makeTensor(strings: [value, "x"]) }
        #expect(throws: TensorError.stringContainsNull) { try makeTensor(strings: ["x", value]) }
    }

    @Test(arguments: [([], 1), (["a"], 0), (["a"], 2), (["a", "b"], 1)])
    func `refuses another number of strings than the shape has places`(strings: [String], count: Int) {
        #expect(throws: TensorError.stringCountMismatch) { try makeTensor(strings: strings, [count]) }
    }

    @Test func `there may be no strings at all`() throws {
        let tensor = try makeTensor(strings: [], [0, 4])
        #expect(tensor.byteCount == 0)
        #expect(tensor.strings == [])
    }
}
