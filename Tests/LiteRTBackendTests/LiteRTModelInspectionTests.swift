import Inference
import Tensors
import TestSupport
import Testing

@testable import LiteRTBackend

@Suite struct LiteRTModelInspectionTests {
    private static let refusal = InferenceError("Failed to load model from buffer")

    @discardableResult
    private func check(_ model: [UInt8], allowsUnsafeOperations: Bool = false) throws -> LiteRTGraph {
        try model.withUnsafeBytes {
            try LiteRTModelInspection.check($0, allowsUnsafeOperations: allowsUnsafeOperations)
        }
    }

    private func graph(_ change: (inout TFLite.Graph) -> Void) -> [UInt8] {
        var graph = Models.productGraph()
        change(&graph)
        return TFLite.model(graph)
    }

    // MARK: What is found

    @Test func `describes inputs and outputs`() throws {
        let graph = try check(Models.product(dimensions: [nil, 2]))
        #expect(graph.inputs.map(\.name) == ["a", "b"])
        #expect(graph.inputs[0].declared == [-1, 2])
        #expect(graph.inputs[0].initial == [1, 2])
        #expect(graph.outputs.map { $0.elementType.dataType } == [.float])
        #expect(graph.hasFixedOutputs)
    }

    @Test func `tells shapes that depend on data from those that do not`() throws {
        #expect(try check(Models.reshape(.float32)).hasFixedOutputs)
        #expect(try !check(Models.places()).hasFixedOutputs)
        #expect(try !check(Models.fill).hasFixedOutputs)
        #expect(try !check(Models.loop).hasFixedOutputs)
        let shaped = graph { graph in
            graph.nodes[0] = TFLite.Node(.reshape, [0, 1], [2])
            graph.tensors[1].type = .int32
        }
        #expect(try !check(shaped).hasFixedOutputs)
    }

    // MARK: Files and code

    @Test func `refuses weights in other files unless that is allowed`() throws {
        let group = FlatbufferValue.table([0: .text("/etc/passwd")])
        let buffer = FlatbufferValue.table([0: .number(1), 1: .number(0)])
        for (field, content) in [(8, group), (9, buffer)] {
            let model = TFLite.model(Models.productGraph()) { $0[field] = .tables([content]) }
            #expect(throws: InferenceError("ERR models with weights in other files are not allowed")) {
                try check(model)
            }
            try check(model, allowsUnsafeOperations: true)
        }
    }

    @Test func `refuses what was compiled for a vendor's library unless that is allowed`() throws {
        let model = graph { $0.nodes[0] = TFLite.Node(.custom, [0, 1], [2], customCode: "DISPATCH_OP") }
        #expect(throws: InferenceError("ERR models compiled for a vendor's library are not allowed")) {
            try check(model)
        }
        try check(model, allowsUnsafeOperations: true)
    }

    @Test func `refuses positions in the file`() throws {
        let model = TFLite.model(Models.productGraph()) {
            $0[4] = .tables([.table([:]), .table([1: .wide(64), 2: .wide(8)])])
        }
        #expect(throws: InferenceError("ERR models with data behind the flatbuffer are not allowed")) {
            try check(model)
        }
    }

    // MARK: Graphs that would read or write what is not theirs

    @Test func `refuses an output that nothing calculates`() {
        #expect(throws: Self.refusal) { try check(graph { $0.nodes = [] }) }
    }

    @Test func `refuses an operator that reads what nothing has calculated`() {
        let model = graph { graph in
            graph.tensors.append(TFLite.Tensor("never"))
            graph.nodes[0].inputs = [0, 3]
        }
        #expect(throws: Self.refusal) { try check(model) }
    }

    @Test func `refuses an operator that reads what only a later one calculates`() {
        let model = graph { graph in
            graph.tensors.append(TFLite.Tensor("later"))
            graph.nodes = [TFLite.Node(.mul, [0, 3], [2]), TFLite.Node(.add, [0, 1], [3])]
        }
        #expect(throws: Self.refusal) { try check(model) }
    }

    @Test func `refuses an operator that writes to an input`() {
        let model = graph { $0.nodes.append(TFLite.Node(.add, [0, 1], [0])) }
        #expect(throws: Self.refusal) { try check(model) }
    }

    @Test(arguments: [3, -1, -2, Int(Int32.max)])
    func `refuses tensors that are not there`(index: Int) throws {
        #expect(throws: Self.refusal) { try check(graph { $0.inputs[0] = index }) }
        #expect(throws: Self.refusal) { try check(graph { $0.outputs[0] = index }) }
        #expect(throws: Self.refusal) { try check(graph { $0.nodes[0].outputs[0] = index }) }
        let operand = graph { $0.nodes[0].inputs[1] = index }
        // An operator may go without an input.
        if index == -1 { try check(operand) } else { #expect(throws: Self.refusal) { try check(operand) } }
    }

    @Test func `refuses an input in two places`() {
        #expect(throws: Self.refusal) { try check(graph { $0.inputs = [0, 0] }) }
    }

    @Test func `refuses a model without a graph`() {
        #expect(throws: Self.refusal) { try check(TFLite.model([])) }
    }

    // MARK: Names

    @Test func `refuses a signature that does not agree with its graph`() throws {
        let right = TFLite.Signature(inputs: [("a", 0), ("b", 1)], outputs: [("c", 2)])
        var wrong: [TFLite.Signature] = []
        for change: (inout TFLite.Signature) -> Void in [
            { $0.inputs.removeLast() }, { $0.inputs[0].tensor = 2 }, { $0.inputs.append(("a", 0)) },
            { $0.inputs[1].name = "a" }, { $0.outputs = [] }, { $0.outputs[0].tensor = 7 }, { $0.graph = 1 },
            { $0.key = "<placeholder signature>" },
        ] {
            var signature = right
            change(&signature)
            wrong.append(signature)
        }
        try check(TFLite.model(Models.productGraph(), signatures: [right]))
        for signature in wrong {
            #expect(throws: Self.refusal) { try check(TFLite.model(Models.productGraph(), signatures: [signature])) }
        }
        #expect(throws: Self.refusal) {
            try check(TFLite.model(Models.productGraph(), signatures: [right, right]))
        }
    }

    @Test func `refuses two inputs of one name where the engine goes by it`() {
        #expect(throws: Self.refusal) { try check(graph { $0.tensors[1].name = "a" }) }
    }

    // MARK: Whatever a client sends

    @Test func `survives random changes to a model`() {
        let model = Models.places(signature: true)
        var random = SystemRandomNumberGenerator()
        var (accepted, refused) = (0, 0)
        for _ in 0..<50_000 {
            var changed = model
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                changed[Int.random(in: changed.indices, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            if survives(changed) { accepted += 1 } else { refused += 1 }
        }
        #expect(accepted > 1_000)
        #expect(refused > 1_000)
    }

    @Test func `survives a model cut anywhere`() {
        let model = Models.loop
        #expect(model.indices.count { survives(Array(model[..<$0])) } < model.count / 10)
    }

    /// Whether a model is accepted and, where needed, changed.
    private func survives(_ model: [UInt8]) -> Bool {
        model.withUnsafeBytes { bytes in
            guard let graph = try? LiteRTModelInspection.check(bytes, allowsUnsafeOperations: false) else {
                return false
            }
            return (try? LiteRTOutputCopies.prefix(for: bytes, graph)) != nil
        }
    }
}
