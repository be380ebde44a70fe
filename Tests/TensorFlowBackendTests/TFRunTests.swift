import Tensors
import TestSupport
import Testing

@testable import Inference
@testable import TensorFlowBackend

/// Everything that uses the real library, one test after the other: it is large and busy.
@Suite(.serialized) struct TensorFlowTests {}

extension LoadedModel {
    /// Runs the model with nobody to interrupt it.
    func run(_ inputs: [Tensor]) throws -> [Tensor?] {
        try run(inputs, watch: RunWatch(clock: .system))
    }
}

extension TensorFlowTests {
    @Suite struct RunTests {
        @Test func `multiplies`() throws {
            let model = try Engine.load(Graphs.product(), ["a", "b"], ["mul"])
            let inputs = [
                try makeTensor(.float, [1, 2, 3, 4] as [Float], [2, 2]),
                try makeTensor(.float, [10, 20, 30, 40] as [Float], [2, 2]),
            ]
            let output = try #require(try model.run(inputs).first ?? nil)
            #expect(output.dataType == .float)
            #expect(output.shape == [2, 2])
            #expect(output.elements(as: Float.self) == [10, 40, 90, 160])
        }

        @Test func `inputs and outputs come in the order of their names`() throws {
            let model = try Engine.load(Graphs.weighted(count: 1), ["x"], ["y", "w"])
            #expect(model.inputNames == ["x"])
            #expect(model.outputNames == ["y", "w"])
            let outputs = try model.run([makeTensor(.float, [3] as [Float])])
            #expect(outputs.map { $0?.elements(as: Float.self) } == [[6], [2]])
        }

        @Test(arguments: DataType.allCases.filter { $0 != .string })
        func `every data type goes in and comes out`(dataType: DataType) throws {
            let model = try Engine.load(Graphs.unary("Identity", dataType), ["x"], ["y"])
            let bytes = (0..<6 * dataType.elementSize).map { dataType == .bool ? UInt8($0 % 2) : UInt8($0 * 37 % 256) }
            let output = try #require(try model.run([makeTensor(dataType, [3, 2], bytes: bytes)]).first ?? nil)
            #expect(output.dataType == dataType)
            #expect(output.shape == [3, 2])
            #expect(output.storedBytes == bytes)
        }

        @Test(arguments: [["one", "", "three", "näh"], [String(repeating: "x", count: 1_000), "y"], [""], []])
        func `so do strings`(strings: [String]) throws {
            let model = try Engine.load(Graphs.unary("Identity", .string), ["x"], ["y"])
            let output = try #require(try model.run([makeTensor(strings: strings, [strings.count, 1])]).first ?? nil)
            #expect(output.dataType == .string)
            #expect(output.shape == [strings.count, 1])
            #expect(output.strings == strings)
        }

        @Test(arguments: DataType.allCases)
        func `a dimension may be zero`(dataType: DataType) throws {
            let model = try Engine.load(Graphs.unary("Identity", dataType), ["x"], ["y"])
            let output = try #require(try model.run([Tensor(zeros: dataType, [0, 3])]).first ?? nil)
            #expect(output.shape == [0, 3])
            #expect(output.byteCount == 0)
        }

        @Test func `a scalar comes out`() throws {
            let model = try Engine.load(Graphs.sum, ["x"], ["y"])
            let output = try #require(try model.run([makeTensor(.float, [1, 2, 3.5] as [Float])]).first ?? nil)
            #expect(output.shape == [])
            #expect(output.elements(as: Float.self) == [6.5])
        }

        @Test func `inputs are not changed, and may be used again`() throws {
            // An operation that works in place where it may.
            let model = try Engine.load(Graphs.unary("Relu", .float), ["x"], ["y"])
            let input = try makeTensor(.float, [-3, 4] as [Float])
            for _ in 0..<3 {
                let output = try #require(try model.run([input]).first ?? nil)
                #expect(output.elements(as: Float.self) == [0, 4])
            }
            #expect(input.elements(as: Float.self) == [-3, 4])
        }

        @Test func `inputs are let go of`() throws {
            let model = try Engine.load(Graphs.unary("Identity", .float), ["x"], ["y"])
            weak var input: Tensor?
            do {
                let tensor = try makeTensor(.float, [1, 2] as [Float])
                input = tensor
                _ = try model.run([tensor])
            }
            #expect(input == nil)
        }

        @Test func `two threads run one model`() throws {
            let model = try Engine.load(Graphs.product(), ["a", "b"], ["mul"])
            let threads = (1...2).map { number in
                ThreadResult<Int>(name: "run-\(number)") {
                    let input = try makeTensor(.float, [Float(number)])
                    return try (0..<200).count { _ in
                        try model.run([input, input]).first??.elements(as: Float.self) == [Float(number * number)]
                    }
                }
            }
            for thread in threads { try #expect(thread.wait() == 200) }
        }

        @Test(arguments: DataType.allCases)
        func `warms up`(dataType: DataType) throws {
            let watch = RunWatch(clock: .system)
            try Engine.load(Graphs.unary("Identity", dataType, [-1, 2]), ["x"], ["y"]).warmUp(watch: watch)
            try Engine.load(Graphs.unary("Identity", dataType, nil), ["x"], ["y"]).warmUp(watch: watch)
        }
    }

    @Suite struct RunErrorTests {
        @Test func `shapes that do not fit are named in the engine's words`() throws {
            let model = try Engine.load(Graphs.product(), ["a", "b"], ["mul"])
            let error = try failure(of: model, [Tensor(zeros: .float, [2]), Tensor(zeros: .float, [2, 2, 3])])
            #expect(error.contains("Incompatible shapes: [2] vs. [2,2,3]\n\t [[{{node mul}}]]"))
        }

        @Test func `so is a wrong data type`() throws {
            let model = try Engine.load(Graphs.product(), ["a", "b"], ["mul"])
            let error = try failure(of: model, [Tensor(zeros: .double, [2]), Tensor(zeros: .float, [2])])
            #expect(error.contains("float"))
            #expect(error.contains("double"))
        }

        @Test func `a model goes on after a failed run`() throws {
            let model = try Engine.load(Graphs.product(), ["a", "b"], ["mul"])
            let input = try makeTensor(.float, [3, 4] as [Float])
            _ = try failure(of: model, [Tensor(zeros: .float, [3]), input])
            try #expect(model.run([input, input]).first??.elements(as: Float.self) == [9, 16])
        }

        @Test func `an input that is named twice is refused at the run`() throws {
            let model = try Engine.load(Graphs.product(), ["a", "a"], ["mul"])
            let input = try makeTensor(.float, [3] as [Float])
            try #expect(failure(of: model, [input, input]).contains("fed more than once"))
        }

        @Test func `a wrong number of inputs is refused`() throws {
            let model = try Engine.load(Graphs.product(), ["a", "b"], ["mul"])
            try #expect(failure(of: model, []) == InferenceError.wrongInputCount.message)
        }

        @Test func `a node without an output is refused at the run`() throws {
            let graph = TF.graph([TF.placeholder("x", .float), TF.node("nothing", "NoOp")]).bytes
            let model = try Engine.load(graph, ["x"], ["nothing"])
            try #expect(failure(of: model, [Tensor(zeros: .float, [1])]).contains("nothing"))
        }

        @Test func `a string with a NUL inside has no tensor form`() throws {
            let model = try Engine.load(Graphs.text("a\0b"), ["x"], ["y"])
            let error = try failure(of: model, [Tensor(zeros: .float, [1])])
            #expect(error == "ERR C-string value contains null character")
        }

        @Test func `an element type that the module does not have is named`() throws {
            let model = try Engine.load(Graphs.castToHalf, ["x"], ["y"])
            let error = try failure(of: model, [Tensor(zeros: .float, [2])])
            #expect(error == "ERR unsupported data type in model output (TF data type 19)")
        }

        private func failure(of model: any LoadedModel, _ inputs: [Tensor]) throws -> String {
            try #require(throws: InferenceError.self) { try model.run(inputs) }.message
        }
    }
}
