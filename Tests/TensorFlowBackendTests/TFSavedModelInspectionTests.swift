import Inference
import Tensors
import TestSupport
import Testing

@testable import TensorFlowBackend

/// What a SavedModel's graph may do, on graphs that the engine never sees.
@Suite struct TFSavedModelInspectionTests {
    private typealias Description = SavedModels.Description

    /// Why a model is refused when `fetches` are its outputs; nil for one that passes.
    private func refusal(_ description: SavedModels.Description, _ fetches: [String] = ["y"]) -> String? {
        SavedModels.definition(description).withUnsafeBytes { bytes in
            do throws(InferenceError) {
                try TFSavedModelInspection(try TFSavedModel(bytes)).check(fetches: fetches)
                return nil
            } catch {
                return error.message
            }
        }
    }

    private func forbidden(_ operation: String, _ node: String) -> String {
        "ERR TF graph holds the operation \(operation) (node \(node)), which is not allowed"
    }

    private static let input = TF.placeholder("x", .float)
    private static let output = TF.node("y", "Identity", ["x"])
    private static let fileName = TF.placeholder("saver_filename", .string)
    private static let restore = TF.node("restore", "RestoreV2", ["saver_filename", "names", "slices"])

    private static func model(_ nodes: [Protobuf], _ functions: [Protobuf] = []) -> SavedModels.Description {
        Description(nodes: [input, output] + nodes, functions: functions)
    }

    private static func restoring(_ nodes: [Protobuf], _ functions: [Protobuf] = []) -> SavedModels.Description {
        var description = model(nodes, functions)
        description.restoreFile = "saver_filename:0"
        description.restoreOperation = "restore_all"
        return description
    }

    private static func initialising(_ nodes: [Protobuf], _ functions: [Protobuf] = []) -> SavedModels.Description {
        var description = model(nodes, functions)
        description.mainOperation = "init"
        description.assets = [("vocabulary:0", "words/vocab.txt")]
        return description
    }

    // MARK: Anywhere

    @Test(arguments: ["ReadFile", "WriteFile", "PyFunc", "Save", "Restore", "TextLineDataset", "_Send"])
    func `operations that no saver has are refused wherever they stand`(operation: String) {
        let node = TF.node("n", operation)
        #expect(refusal(Self.model([node])) == forbidden(operation, "n"))
        #expect(refusal(Self.model([], [TF.function("f", [], [node])])) == forbidden(operation, "n"))
    }

    @Test(arguments: ["RestoreV2", "SaveV2", "MergeV2Checkpoints", "InitializeTableFromTextFileV2"])
    func `those of the saver may stand where no run reaches them`(operation: String) {
        let node = TF.node("n", operation, ["saver_filename"])
        let function = TF.function("f", [], [node])
        #expect(refusal(Self.model([node, TF.call("c", "f")], [function])) == nil)
    }

    // MARK: Runs

    @Test(arguments: ["RestoreV2", "SaveV2", "MergeV2Checkpoints", "InitializeTableFromTextFileV2"])
    func `no run may reach an operation of the saver`(operation: String) {
        let node = TF.node("n", operation, ["saver_filename", "saver_filename"])
        let ways = [
            TF.node("z", "Identity", ["n"]), TF.node("z", "Identity", ["n:3"]), TF.node("z", "NoOp", ["^n"]),
            TF.node("z", "Pack", ["x", "x", "n:1"]),
        ]
        for way in ways {
            #expect(refusal(Self.model([Self.fileName, node, way]), ["z"]) == forbidden(operation, "n"))
        }
        #expect(refusal(Self.model([node]), ["n"]) == forbidden(operation, "n"))
    }

    private static let saving = TF.function("save", [("file", .string)], [TF.node("n", "SaveV2", ["file"])])

    @Test(arguments: [
        TF.call("z", "save"), TF.node("z", "PartitionedCall", [], [TF.attribute("f", function: "save")]),
        TF.node("z", "save", ["x"]), TF.node("z", "If", [], [TF.attribute("else_branch", function: "save")]),
        TF.node("z", "StatelessWhile", [], [TF.attribute("body", function: "save")]),
        TF.node("z", "Case", [], [TF.attribute("branches", functions: ["fine", "save"])]),
        TF.node("z", "SymbolicGradient", [], [TF.attribute("f", function: "save")]),
        TF.node("z", "Identity", ["x"], [TF.attribute("anything", function: "save")]),
        TF.node("z", "Identity", ["x"], [TF.attribute("anything", text: "save")]),
        TF.node(
            "z", "StatefulPartitionedCall", [],
            [TF.attribute("f", function: "fine", [TF.attribute("inner", function: "save")])]),
        TF.call("z", "outer"), TF.call("z", "looping"), TF.call("z", "derived"), TF.call("z", "replaced"),
    ])
    func `nor by way of functions`(way: Protobuf) {
        let functions = [
            Self.saving, TF.function("fine", [], [TF.node("n", "NoOp")]),
            TF.function("outer", [], [TF.call("c", "middle")]), TF.function("middle", [], [TF.call("c", "save")]),
            TF.function(
                "looping", [],
                [
                    TF.node(
                        "loop", "While", [],
                        [TF.attribute("cond", function: "fine"), TF.attribute("body", function: "branching")])
                ]),
            TF.function(
                "branching", [],
                [TF.node("if", "StatelessIf", [], [TF.attribute("then_branch", function: "middle")])]),
            TF.function("derived", [], []),
            TF.function("replaced", [], [], [TF.attribute("api_implements", text: "i")]),
            TF.function("replacement", [], [TF.call("c", "save")], [TF.attribute("api_implements", text: "i")]),
        ]
        var description = Self.model([way], functions)
        description.gradients = [
            Protobuf { gradient in
                gradient.text(1, "derived")
                gradient.text(2, "middle")
            }
        ]
        #expect(refusal(description, ["z"]) == forbidden("SaveV2", "n"))
        #expect(refusal(description, ["y"]) == nil)
    }

    @Test func `of two functions or nodes with one name both count`() {
        let harmless = TF.function("save", [], [TF.node("n", "NoOp")])
        for functions in [[harmless, Self.saving], [Self.saving, harmless]] {
            #expect(refusal(Self.model([TF.call("z", "save")], functions), ["z"]) == forbidden("SaveV2", "n"))
        }
        let nodes = [TF.node("z", "SaveV2"), TF.node("z", "Identity", ["x"])]
        for nodes in [nodes, nodes.reversed()] {
            #expect(refusal(Self.model(nodes), ["z"]) == forbidden("SaveV2", "z"))
        }
    }

    @Test func `functions that call each other come to an end`() {
        let functions = [
            TF.function("f", [], [TF.call("c", "g")]), TF.function("g", [], [TF.call("c", "f"), TF.call("d", "g")]),
        ]
        #expect(refusal(Self.model([TF.call("z", "f")], functions), ["z"]) == nil)
    }

    // MARK: Restoring

    @Test func `restoring reads the file that the engine names`() {
        let all = TF.node("restore_all", "NoOp", ["^restore"])
        #expect(refusal(Self.restoring([Self.fileName, Self.restore, all])) == nil)
        let copies = [
            TF.node("copy", "Identity", ["saver_filename:0"]), TF.node("restore", "RestoreV2", ["copy", "n", "s"]),
        ]
        #expect(refusal(Self.restoring([Self.fileName, all] + copies)) == nil)
    }

    @Test func `in a function too`() {
        let function = TF.function(
            "traced", [("v", .float), ("prefix", .string)], [TF.node("restore", "RestoreV2", ["prefix", "n", "s"])])
        let outer = TF.function("outer", [("p", .string)], [TF.call("c", "traced", ["p", "p"])])
        let good = [
            TF.call("restore_all", "traced", ["x", "saver_filename"]),
            TF.call("restore_all", "outer", ["saver_filename"]),
        ]
        for call in good {
            #expect(refusal(Self.restoring([Self.fileName, call], [function, outer])) == nil)
        }
        let bad = [
            TF.call("restore_all", "traced", ["saver_filename", "x"]), TF.call("restore_all", "traced"),
            TF.call("restore_all", "outer", ["x"]),
            TF.node("restore_all", "If", ["x", "saver_filename"], [TF.attribute("then_branch", function: "traced")]),
        ]
        for call in bad {
            let description = Self.restoring([Self.fileName, call], [function, outer])
            #expect(refusal(description) == forbidden("RestoreV2", "restore"))
        }
    }

    @Test(arguments: [
        [TF.text("c", "/etc/passwd"), TF.node("restore_all", "RestoreV2", ["c", "saver_filename", "s"])],
        [TF.node("restore_all", "RestoreV2", ["^saver_filename", "n", "s"])],
        [TF.node("restore_all", "RestoreV2", ["saver_filename:1", "n", "s"])],
        [TF.node("restore_all", "RestoreV2", [])], [TF.node("restore_all", "RestoreV2", ["nowhere", "n", "s"])],
        [TF.node("j", "StringJoin", ["saver_filename"]), TF.node("restore_all", "RestoreV2", ["j", "n", "s"])],
        [
            TF.node("copy", "Identity", ["saver_filename"]), TF.node("copy", "Identity", ["x"]),
            TF.node("restore_all", "RestoreV2", ["copy", "n", "s"]),
        ],
    ])
    func `and no other`(nodes: [Protobuf]) {
        #expect(refusal(Self.restoring([Self.fileName] + nodes)) == forbidden("RestoreV2", "restore_all"))
    }

    @Test(arguments: ["SaveV2", "MergeV2Checkpoints", "InitializeTableFromTextFileV2"])
    func `restoring does nothing but read variables`(operation: String) {
        let nodes = [
            TF.node("n", operation, ["saver_filename", "saver_filename"]), TF.node("restore_all", "NoOp", ["^n"]),
        ]
        #expect(refusal(Self.restoring([Self.fileName] + nodes)) == forbidden(operation, "n"))
    }

    @Test func `the engine must feed what is read`() {
        var description = Self.restoring([
            Self.fileName, TF.node("restore_all", "RestoreV2", ["saver_filename", "n", "s"]),
        ])
        #expect(refusal(description) == nil)
        description.restoreFile = "saver_filename:1"
        #expect(refusal(description) == forbidden("RestoreV2", "restore_all"))
        description.restoreFile = "other:0"
        #expect(refusal(description) == forbidden("RestoreV2", "restore_all"))
    }

    // MARK: Initialising

    private static let vocabulary = TF.text("vocabulary", "vocab.txt")

    @Test func `tables are filled from files of the model`() {
        let fill = TF.node("init", "InitializeTableFromTextFileV2", ["table", "vocabulary"])
        #expect(refusal(Self.initialising([Self.vocabulary, fill])) == nil)
        let function = TF.function(
            "f", [("file", .string)], [TF.node("n", "InitializeTableFromTextFileV2", ["t", "file"])])
        #expect(refusal(Self.initialising([Self.vocabulary, TF.call("init", "f", ["vocabulary"])], [function])) == nil)
        let bad = Self.initialising([Self.vocabulary, TF.call("init", "f", ["x"])], [function])
        #expect(refusal(bad) == forbidden("InitializeTableFromTextFileV2", "n"))
    }

    private static func assign(_ name: String, _ value: String, _ type: DataType = .string) -> Protobuf {
        TF.node(name, "AssignVariableOp", ["path", value], [TF.attribute("dtype", type)])
    }

    private static let throughVariable = [
        vocabulary, TF.node("path", "VarHandleOp"), assign("assign", "vocabulary"),
        TF.node("read", "ReadVariableOp", ["path", "^assign"], [TF.attribute("dtype", .string)]),
        TF.call("fill", "f", ["read"]), TF.node("init", "NoOp", ["^fill", "^assign"]),
    ]
    private static let filling = TF.function(
        "f", [("file", .string)], [TF.node("n", "InitializeTableFromTextFileV2", ["t", "file"])])

    @Test func `the name of the file may be kept in a variable`() {
        #expect(refusal(Self.initialising(Self.throughVariable, [Self.filling])) == nil)
        // Numbers may be written meanwhile.
        let numbers = [Self.assign("assign", "vocabulary"), Self.assign("other", "x", .float)]
        let nodes = Self.throughVariable + numbers + [TF.node("init", "NoOp", ["^other"])]
        #expect(refusal(Self.initialising(nodes, [Self.filling])) == nil)
    }

    @Test(arguments: [
        assign("other", "x"),
        TF.node("other", "ResourceScatterUpdate", ["path", "x", "x"], [TF.attribute("T", .string)]),
        TF.node("other", "AssignVariableOp", ["path", "x"], [TF.attribute("dtype") { $0.text(9, "T") }]),
    ])
    func `unless another string could be put in it`(write: Protobuf) {
        let whileInitialising = Self.throughVariable + [write, TF.node("init", "NoOp", ["^other"])]
        let text = forbidden("InitializeTableFromTextFileV2", "n")
        #expect(refusal(Self.initialising(whileInitialising, [Self.filling])) == text)
        var whileRestoring = Self.initialising(Self.throughVariable + [write], [Self.filling])
        #expect(refusal(whileRestoring) == nil)
        whileRestoring.restoreFile = "saver_filename:0"
        whileRestoring.restoreOperation = "other"
        #expect(refusal(whileRestoring) == text)
    }

    @Test(arguments: ["SaveV2", "MergeV2Checkpoints", "RestoreV2"])
    func `initialising does nothing else with files`(operation: String) {
        let nodes = [Self.vocabulary, TF.node("init", operation, ["vocabulary", "vocabulary"])]
        #expect(refusal(Self.initialising(nodes)) == forbidden(operation, "init"))
    }

    @Test func `an initialising signature is looked at as well`() {
        var description = Self.model([TF.node("init", "SaveV2")])
        description.signatures = [("__saved_model_init_op", [:], ["__saved_model_init_op": "init"])]
        #expect(refusal(description) == forbidden("SaveV2", "init"))
        description.signatures = [("__saved_model_init_op", [:], ["another": "y"])]
        #expect(refusal(description) == "ERR SavedModel: saved_model.pb cannot be read")
    }

    @Test(arguments: ["", "/etc/passwd", "../variables", "a/../b", ".", "a\0b"])
    func `an asset must be a file of the model`(file: String) {
        var description = Self.initialising([Self.vocabulary, TF.node("init", "NoOp")])
        description.assets = [("vocabulary:0", file)]
        #expect(refusal(description) == "ERR SavedModel: an asset has no proper file name")
        description.assets = [("vocabulary:1", "vocab.txt")]
        #expect(refusal(description) == "ERR SavedModel: an asset has no proper file name")
    }
}
