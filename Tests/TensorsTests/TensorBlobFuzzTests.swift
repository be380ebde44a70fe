import ParserFuzzing
import TestSupport
import Testing

/// Whatever a client sends: an answer, never a crash. Longer: `make fuzz-parsers`.
@Suite struct TensorBlobFuzzTests {
    @Test func `damaged blobs are refused or read`() {
        // Type, rank and two dimensions, then the blob.
        let files: [[UInt8]] = (0..<10).map { [$0, 1, 2, 0] + Array(repeating: 1, count: 16) }
        let strings: [UInt8] = [9, 2, 2, 1] + Array("one\0two\0".utf8)
        var mutations = ByteMutations(seed: 1)
        var verdicts: Set<Bool> = []
        mutations.forEach(20_000, of: files + [strings]) { verdicts.insert(FuzzedParser.tensor.reads($0)) }
        #expect(verdicts == [true, false])
    }
}
