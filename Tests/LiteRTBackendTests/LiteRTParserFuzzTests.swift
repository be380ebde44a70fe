import Inference
import ParserFuzzing
import Tensors
import TestSupport
import Testing

@testable import LiteRTBackend

/// Whatever a client sends or an operator leaves behind: an answer, never a crash. Longer: `make fuzz-parsers`.
@Suite struct LiteRTParserFuzzTests {
    @Test func `damaged models are refused or read`() {
        let files = [
            Models.product(dimensions: [nil, 2]), Models.reshape(.float32), Models.places(signature: true), Models.fill,
            Models.loop,
        ]
        var mutations = ByteMutations(seed: 1)
        var verdicts: Set<Bool> = []
        mutations.forEach(20_000, of: files) { verdicts.insert(FuzzedParser.tflite.reads($0)) }
        #expect(verdicts == [true, false])
    }

    @Test func `damaged strings are refused or read`() throws {
        let strings = try #require(LiteRTStrings.encode(makeTensor(strings: ["one", "", "three"])))
        var mutations = ByteMutations(seed: 2)
        var verdicts: Set<Bool> = []
        mutations.forEach(20_000, of: [strings]) { verdicts.insert(FuzzedParser.strings.reads($0)) }
        #expect(verdicts == [true, false])
    }

    @Test func `an operator that wrote nothing has no strings`() {
        #expect(throws: InferenceError.self) {
            try LiteRTStrings.decode(UnsafeRawBufferPointer(start: nil, count: 0), [0])
        }
    }
}
