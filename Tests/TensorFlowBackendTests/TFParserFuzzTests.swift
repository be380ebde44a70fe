import ParserFuzzing
import TestSupport
import Testing

/// Whatever a client sends: an answer, never a crash. Longer: `make fuzz-parsers`.
@Suite struct TFParserFuzzTests {
    private func verdicts(_ parser: FuzzedParser, _ files: [[UInt8]], _ count: Int, seed: Int) -> Set<Bool> {
        var mutations = ByteMutations(seed: seed)
        var verdicts: Set<Bool> = []
        mutations.forEach(count, of: files) { verdicts.insert(parser.reads($0)) }
        return verdicts
    }

    @Test func `damaged graphs are refused or read`() {
        let files = [Graphs.product(), Graphs.product(dimensions: [2]), Graphs.weighted(count: 8), Graphs.text("text")]
        #expect(verdicts(.graph, files, 20_000, seed: 1) == [true, false])
    }

    @Test func `damaged SavedModels are refused or read`() {
        var described = SavedModels.product
        described.restoreFile = "a:0"
        described.restoreOperation = "id"
        described.mainOperation = "mul"
        described.assets = [("a:0", "words.txt")]
        let files = [SavedModels.product, described].map { SavedModels.definition($0) }
        #expect(verdicts(.savedModel, files, 20_000, seed: 2) == [true, false])
    }

    @Test func `damaged archives are refused or read`() {
        let content: [Archives.File] = [("saved_model.pb", [1, 2, 3]), ("variables/variables.index", [])]
        let tar = Archives.tar(content)
        let files = [
            tar, Archives.paxPath("model/saved_model.pb") + tar, Archives.gnuPath("model/saved_model.pb") + tar,
            Archives.gzip(tar), Archives.zip(content), Archives.zip(content, isDeflated: false),
        ]
        #expect(verdicts(.archive, files, 20_000, seed: 3) == [true, false])
    }
}
