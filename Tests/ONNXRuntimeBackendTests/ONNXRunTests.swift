import Tensors
import TestSupport
import Testing

@testable import Inference
@testable import ONNXRuntimeBackend

/// Everything that uses the real library, one test after the other: they share its memory counter.
@Suite(.serialized) struct ONNXRuntimeTests {}

extension LoadedModel {
    /// Runs the model with nobody to interrupt it.
    func run(_ inputs: [Tensor]) throws -> [Tensor?] {
        try run(inputs, watch: RunWatch(clock: .system))
    }
}

extension ONNXRuntimeTests {
    @Suite struct RunTests {
        @Test func `multiplies`() throws {
            let session = try Engine.load(Models.product(dimensions: [nil, 2]))
            let inputs = [
                try makeTensor(.float, [1, 2, 3, 4] as [Float], [2, 2]),
                try makeTensor(.float, [10, 20, 30, 40] as [Float], [2, 2]),
            ]
            let output = try #require(try session.run(inputs).first ?? nil)
            #expect(output.dataType == .float)
            #expect(output.shape == [2, 2])
            #expect(output.elements(as: Float.self) == [10, 40, 90, 160])
        }

        @Test func `knows the names of inputs and outputs in order`() throws {
            let session = try Engine.load(Models.product(dimensions: [2]))
            #expect(session.inputNames == ["a", "b"])
            #expect(session.outputNames == ["product"])
        }

        @Test(arguments: DataType.allCases.filter { $0 != .string })
        func `every data type goes in and comes out`(dataType: DataType) throws {
            let session = try Engine.load(Models.identity(dataType))
            let bytes = (0..<6 * dataType.elementSize).map { dataType == .bool ? UInt8($0 % 2) : UInt8($0 * 37 % 256) }
            let output = try #require(try session.run([makeTensor(dataType, [3, 2], bytes: bytes)]).first ?? nil)
            #expect(output.dataType == dataType)
            #expect(output.shape == [3, 2])
            #expect(output.storedBytes == bytes)
        }

        @Test(arguments: [["one", "", "three", "näh"], [String(repeating: "x", count: 1_000), "y"], [""], []])
        func `so do strings`(strings: [String]) throws {
            let session = try Engine.load(Models.identity(.string))
            let output = try #require(try session.run([makeTensor(strings: strings, [strings.count, 1])]).first ?? nil)
            #expect(output.dataType == .string)
            #expect(output.shape == [strings.count, 1])
            #expect(output.strings == strings)
        }

        @Test(arguments: DataType.allCases)
        func `a dimension may be zero`(dataType: DataType) throws {
            let session = try Engine.load(Models.identity(dataType))
            let output = try #require(try session.run([Tensor(zeros: dataType, [0, 3])]).first ?? nil)
            #expect(output.shape == [0, 3])
            #expect(output.byteCount == 0)
        }

        @Test func `a scalar comes out`() throws {
            let session = try Engine.load(Models.sum)
            let output = try #require(try session.run([makeTensor(.float, [1, 2, 3.5] as [Float])]).first ?? nil)
            #expect(output.shape == [])
            #expect(output.batchSize == 1)
            #expect(output.elements(as: Float.self) == [6.5])
        }

        @Test func `a scalar goes in`() throws {
            let session = try Engine.load(Models.identity(.float, dimensions: []))
            let output = try #require(try session.run([makeTensor(.float, [7] as [Float], [])]).first ?? nil)
            #expect(output.shape == [])
            #expect(output.elements(as: Float.self) == [7])
        }

        @Test func `inputs are not changed, and may be used again`() throws {
            let session = try Engine.load(Models.product(dimensions: [2]))
            let input = try makeTensor(.float, [3, 4] as [Float])
            for _ in 0..<3 {
                let output = try #require(try session.run([input, input]).first ?? nil)
                #expect(output.elements(as: Float.self) == [9, 16])
            }
            #expect(input.elements(as: Float.self) == [3, 4])
        }

        @Test func `two threads run one model`() throws {
            let session = try Engine.load(Models.product(dimensions: [nil]))
            let threads = (1...2).map { number in
                ThreadResult<Int>(name: "run-\(number)") {
                    let input = try makeTensor(.float, [Float(number)])
                    return try (0..<200).count { _ in
                        try session.run([input, input]).first??.elements(as: Float.self) == [Float(number * number)]
                    }
                }
            }
            for thread in threads { try #expect(thread.wait() == 200) }
        }

        @Test(arguments: DataType.allCases)
        func `warms up`(dataType: DataType) throws {
            try Engine.load(Models.identity(dataType)).warmUp(watch: RunWatch(clock: .system))
        }
    }

    @Suite struct RunErrorTests {
        @Test func `a wrong dimension is named`() throws {
            let session = try Engine.load(Models.product(dimensions: [2]))
            let error = try failure(
                of: session, [makeTensor(.float, [1, 2, 3] as [Float]), Tensor(zeros: .float, [2])])
            #expect(error.contains("Got invalid dimensions"))
            #expect(error.contains("Got: 3 Expected: 2"))
        }

        @Test func `so is a wrong rank`() throws {
            let session = try Engine.load(Models.product(dimensions: [2]))
            let error = try failure(of: session, [Tensor(zeros: .float, [2, 1]), Tensor(zeros: .float, [2])])
            #expect(error.contains("Invalid rank for input"))
        }

        @Test func `so is a wrong data type`() throws {
            let session = try Engine.load(Models.product(dimensions: [2]))
            let error = try failure(of: session, [Tensor(zeros: .double, [2]), Tensor(zeros: .float, [2])])
            #expect(error.contains("Unexpected input data type"))
        }

        @Test func `a session goes on after a failed run`() throws {
            let session = try Engine.load(Models.product(dimensions: [2]))
            let input = try makeTensor(.float, [3, 4] as [Float])
            _ = try failure(of: session, [Tensor(zeros: .float, [3]), input])
            try #expect(session.run([input, input]).first??.elements(as: Float.self) == [9, 16])
        }

        @Test func `a string with a NUL inside has no tensor form`() throws {
            let session = try Engine.load(Models.strings([Array("a\0b".utf8)]))
            try #expect(failure(of: session, []) == "ERR C-string value contains null character")
        }

        @Test func `an element type that the module does not have is named`() throws {
            let session = try Engine.load(Models.cast(to: .float16))
            let error = try failure(of: session, [Tensor(zeros: .float, [2])])
            #expect(error == "ERR unsupported data type in model output (ONNX element type 10)")
        }

        @Test func `a run that needs more memory than the limit fails, and gives back what it took`() throws {
            let session = try Engine.load(Models.fill)
            let before = try Engine.memoryInUse()
            let shape = try makeTensor(.int64, [Int64(Engine.memoryLimit / 4 + 1)])
            let error = try failure(of: session, [shape])
            #expect(error.contains("Onnxruntime memory limit exceeded, memory allocation failed."))
            try #expect(Engine.memoryInUse() == before)
            let small = try #require(try session.run([makeTensor(.int64, [3] as [Int64])]).first ?? nil)
            #expect(small.elements(as: Float.self) == [0, 0, 0])
        }

        private func failure(of session: any LoadedModel, _ inputs: [Tensor]) throws -> String {
            try #require(throws: InferenceError.self) { try session.run(inputs) }.message
        }
    }

    @Suite struct NonTensorOutputTests {
        @Test func `a sequence of tensors has no tensor form`() throws {
            let session = try Engine.load(Models.sequence)
            let outputs = try session.run([Tensor(zeros: .float, [2])])
            #expect(outputs.count == 1)
            #expect(outputs.allSatisfy { $0 == nil })
        }

        @Test(arguments: [false, true])
        func `maps become rows where that is wanted`(isWanted: Bool) throws {
            let session = try Engine.load(Models.probabilities)
            let scores = try makeTensor(.float, [0.25, 0.75, 0.5, 0.5] as [Float], [2, 2])
            let output = try Engine.$convertsMaps.withValue(isWanted) { try session.run([scores]).first ?? nil }
            #expect(output?.shape == (isWanted ? [2, 2] : nil))
            #expect(output?.elements(as: Float.self) == (isWanted ? [0.25, 0.75, 0.5, 0.5] : nil))
        }
    }
}
