import CTensorFlow
import Inference
import Tensors
import TestSupport
import Testing

@testable import BackendSupport
@testable import TensorFlowBackend

extension TensorFlowTests {
    @Suite struct OperationPolicyTests {
        private static func names(_ text: String) -> Set<String> {
            Set(text.split(whereSeparator: \.isWhitespace).map(String.init))
        }

        /// The names of all operations that the library has.
        /// Never closed, as in the module.
        private static let library = Result { try TensorFlowLibrary(path: Engine.libraryPath()) }

        private static func libraryOperations() throws -> Set<String> {
            let library = try library.get()
            let buffer = try #require(Tf_GetAllOpList(library.functions))
            defer { Tf_DeleteBuffer(library.functions, buffer) }
            var names: Set<String> = []
            let malformed = InferenceError("malformed")
            var list = WireReader(UnsafeRawBufferPointer(start: buffer.pointee.data, count: buffer.pointee.length))
            while let operation = try list.next(orThrow: malformed) {
                var fields = WireReader(try #require(operation.content))
                while let field = try fields.next(orThrow: malformed) {
                    if field.number == 1, let name = field.content {
                        names.insert(String(decoding: name, as: UTF8.self))
                    }
                }
            }
            return names
        }

        @Test func `every operation of the library has been looked at`() throws {
            let operations = try Self.libraryOperations()
            let refused = Self.names(ReviewedOperations.refused)
            let allowed = Self.names(ReviewedOperations.allowed)
            #expect(refused.isDisjoint(with: allowed))
            #expect(operations.subtracting(refused).subtracting(allowed).sorted() == [], "look at these")
            #expect(refused.union(allowed).subtracting(operations).sorted() == [], "these are gone")
        }

        @Test func `the rules refuse what was decided to be refused, and nothing else`() {
            for name in Self.names(ReviewedOperations.refused) {
                #expect(TFOperationPolicy.reason(against: name) != nil, "\(name)")
            }
            for name in Self.names(ReviewedOperations.allowed) {
                #expect(TFOperationPolicy.reason(against: name) == nil, "\(name)")
            }
        }

        private static let refusal = "ERR TF graph holds the operation ReadFile (node spy), which is not allowed"
        private static let spy = TF.node("spy", "ReadFile", ["file"])
        private static let start = [TF.placeholder("x", .float), TF.text("file", "/etc/passwd")]

        @Test func `a graph that reads a file is refused`() {
            let graph = TF.graph(Self.start + [Self.spy])
            #expect(Engine.refusal(graph.bytes, ["x"], ["spy"]) == Self.refusal)
            // Whether or not anybody asks for it.
            #expect(Engine.refusal(graph.bytes, ["x"], ["x"]) == Self.refusal)
        }

        @Test func `so is one that does it in a function`() {
            let function = TF.function("f", [("file", .string)], [Self.spy])
            #expect(Engine.refusal(TF.graph(Self.start, functions: [function]).bytes, ["x"], ["x"]) == Self.refusal)
        }

        @Test func `so is one whose message is in several pieces`() {
            let bytes = TF.graph(Self.start).bytes + TF.graph([Self.spy]).bytes
            #expect(Engine.refusal(bytes, ["x"], ["x"]) == Self.refusal)
            let twice = Protobuf { node in
                node.text(1, "spy")
                node.text(2, "NoOp")
                node.text(2, "ReadFile")
            }
            #expect(Engine.refusal(TF.graph([twice]).bytes, ["x"], ["x"]) == Self.refusal)
        }

        @Test func `an operator may allow it`() throws {
            let graph = TF.graph(Self.start + [Self.spy]).bytes
            let model = try Engine.load(graph, ["x"], ["spy"], allowsUnsafeOperations: true)
            let output = try model.run([makeTensor(.float, [1] as [Float])]).first ?? nil
            #expect(output?.strings.first?.contains("root") == true)
        }

        @Test(arguments: [
            "WriteFile", "SaveV2", "RestoreV2", "PyFunc", "_Send", "TextLineDatasetV2", "Abort", "PrintV2", "XlaLaunch",
            "CollectiveReduceV2", "ImmutableConst", "RpcCall", "InitializeTableFromTextFileV2", "DebugIdentityV2",
        ])
        func `operations that reach out are refused before the engine sees them`(operation: String) {
            let graph = TF.graph([TF.placeholder("x", .float), TF.node("n", operation)])
            let refusal = "ERR TF graph holds the operation \(operation) (node n), which is not allowed"
            #expect(Engine.refusal(graph.bytes, ["x"], ["x"]) == refusal)
        }

        @Test func `functions within functions, too deep for the engine's parser, are no graph`() {
            var attribute = TF.attribute("f", function: "g")
            for _ in 0..<120 { attribute = TF.attribute("f", function: "g", [attribute]) }
            let graph = TF.graph([TF.node("n", "NoOp", [], [attribute])])
            #expect(Engine.refusal(graph.bytes, ["x"], ["x"]) == "Invalid GraphDef")
        }
    }
}
