import Inference
import Tensors
import TestSupport
import Testing

@testable import LiteRTBackend

/// Everything that uses the real library, one test after the other: some count the threads of the process.
@Suite(.serialized) struct LiteRTTests {}

extension LoadedModel {
    /// Runs the model with nobody to interrupt it.
    func run(_ inputs: [Tensor]) throws -> [Tensor?] {
        try run(inputs, watch: RunWatch(clock: .system))
    }
}

extension LiteRTTests {
    @Suite struct RunTests {
        private func first(_ outputs: [Tensor?]) throws -> Tensor {
            try #require(outputs.first ?? nil)
        }

        @Test func `multiplies`() throws {
            let model = try Engine.load(Models.product(dimensions: [nil, 2]))
            let inputs = [
                try makeTensor(.float, [1, 2, 3, 4] as [Float], [2, 2]),
                try makeTensor(.float, [10, 20, 30, 40] as [Float], [2, 2]),
            ]
            let output = try first(model.run(inputs))
            #expect(output.dataType == .float)
            #expect(output.shape == [2, 2])
            #expect(output.elements(as: Float.self) == [10, 40, 90, 160])
        }

        @Test(arguments: [
            (DataType.float, TFLite.ElementType.float32), (.double, .float64), (.int8, .int8), (.int16, .int16),
            (.int32, .int32), (.int64, .int64), (.uint8, .uint8), (.uint16, .uint16), (.bool, .bool),
        ])
        func `every data type goes in and comes out`(dataType: DataType, type: TFLite.ElementType) throws {
            let model = try Engine.load(Models.reshape(type))
            let bytes = (0..<6 * dataType.elementSize).map { dataType == .bool ? UInt8($0 % 2) : UInt8($0 * 37 % 256) }
            for _ in 0..<2 {
                let output = try first(model.run([makeTensor(dataType, [3, 2], bytes: bytes)]))
                #expect(output.dataType == dataType)
                #expect(output.shape == [2, 3])
                #expect(output.storedBytes == bytes)
            }
        }

        @Test func `strings go in`() throws {
            let model = try Engine.load(Models.compare)
            for (strings, expected) in [(["a", "c"], [1, 0]), (["", "b"], [0, 1]), (["ab", "b"], [0, 1])] {
                let output = try first(model.run([makeTensor(strings: strings)]))
                #expect(output.dataType == .bool)
                #expect(output.elements(as: UInt8.self) == expected.map { UInt8($0) })
            }
        }

        @Test func `strings come out`() throws {
            let model = try Engine.load(Models.reshape(.string))
            for strings in [
                ["one", "", "three", "näh", String(repeating: "x", count: 1_000), "z"], ["", "", "", "", "", ""],
            ] {
                let output = try first(model.run([makeTensor(strings: strings, [3, 2])]))
                #expect(output.dataType == .string)
                #expect(output.shape == [2, 3])
                #expect(output.strings == strings)
            }
        }

        @Test func `inputs of other shapes than the model's are taken, also where it has no free dimension`() throws {
            let model = try Engine.load(Models.product(dimensions: [2]))
            for count in [2, 5, 1, 5, 2] {
                let input = try makeTensor(.float, (0..<count).map { Float($0) })
                let output = try first(model.run([input, input]))
                #expect(output.shape == [count])
                #expect(output.elements(as: Float.self) == (0..<count).map { Float($0 * $0) })
            }
        }

        @Test func `inputs may get another rank`() throws {
            let model = try Engine.load(Models.product(dimensions: [2]))
            let matrix = try makeTensor(.float, [1, 2, 3, 4] as [Float], [2, 2])
            let output = try first(model.run([matrix, makeTensor(.float, [10, 100] as [Float])]))
            #expect(output.shape == [2, 2])
            #expect(output.elements(as: Float.self) == [10, 200, 30, 400])
        }

        @Test func `scalars go in and come out`() throws {
            let model = try Engine.load(Models.product(dimensions: []))
            let output = try first(
                model.run([makeTensor(.float, [6] as [Float], []), makeTensor(.float, [7] as [Float], [])]))
            #expect(output.shape == [])
            #expect(output.elements(as: Float.self) == [42])
        }

        @Test func `inputs are not changed, and may be used again`() throws {
            let model = try Engine.load(Models.product(dimensions: [2]))
            let input = try makeTensor(.float, [3, 4] as [Float])
            for _ in 0..<3 {
                try #expect(first(model.run([input, input])).elements(as: Float.self) == [9, 16])
            }
            #expect(input.elements(as: Float.self) == [3, 4])
        }

        @Test func `outputs that are inputs, or the same twice, have their content`() throws {
            let model = try Engine.load(Models.passing)
            for value in [1, 2] as [Float] {
                let outputs = try model.run([makeTensor(.float, [value, 5])])
                #expect(
                    outputs.map { $0?.elements(as: Float.self) } == [[value, 5], [2 * value, 10], [2 * value, 10]])
            }
        }

        @Test func `outputs that never change are there in every run`() throws {
            let model = try Engine.load(Models.constants)
            for count in [1, 3, 3] {
                let outputs = try model.run([Tensor(zeros: .float, [count])])
                #expect(outputs[0]?.elements(as: Float.self) == [3, 4])
                #expect(outputs[1]?.elements(as: Int32.self) == [3, 4])
                #expect(outputs[2]?.elements(as: Int32.self) == [Int32(count)])
            }
        }

        @Test(arguments: [false, true])
        func `an output may have a shape that depends on the data`(hasSignature: Bool) throws {
            let model = try Engine.load(Models.places(signature: hasSignature))
            for mask in [[0, 1, 1, 0, 1], [1], [0, 1, 1], [1, 1, 1, 1, 1, 1]] as [[UInt8]] {
                let output = try first(model.run([makeTensor(.bool, mask)]))
                let expected = mask.indices.filter { mask[$0] == 1 }.map { Int64($0) }
                #expect(output.shape == [expected.count, 1])
                #expect(output.elements(as: Int64.self) == expected)
            }
        }

        @Test func `such an output may be empty`() throws {
            let model = try Engine.load(Models.places())
            let output = try first(model.run([makeTensor(.bool, [0, 0] as [UInt8])]))
            #expect(output.shape == [0, 1])
            #expect(output.byteCount == 0)
        }

        @Test func `such an output may be large`() throws {
            let model = try Engine.load(Models.fill)
            for count in [3, 1_000_000, 7] {
                let output = try first(model.run([makeTensor(.int32, [Int32(count)])]))
                #expect(output.shape == [count])
                let sum = output.elements(as: Float.self).reduce(into: 0.0) { $0 += Double($1) }
                #expect(sum == Double(count))
            }
        }

        @Test func `memory for such outputs grows as far as tensors may`() throws {
            let small = try #require(LiteRTScratch(size: 4_096))
            let larger = try #require(small.grown())
            #expect(larger.bytes.count == 4 * 4_096)
            larger.bytes.storeBytes(of: 7, toByteOffset: larger.bytes.count - 1, as: UInt8.self)
            #expect(LiteRTScratch(size: tensorSizeLimit)?.grown() == nil)
        }

        @Test func `threads run one model at once`() throws {
            let model = try Engine.load(Models.product(dimensions: [nil]))
            let threads = (1...4).map { number in
                ThreadResult<Int>(name: "run-\(number)") {
                    try (0..<200).count { round in
                        // Each its own shape, which changes in between.
                        let input = try makeTensor(
                            .float, [Float](repeating: Float(number), count: number + round % 2))
                        let expected = [Float](repeating: Float(number * number), count: input.elementCount)
                        return try model.run([input, input]).first??.elements(as: Float.self) == expected
                    }
                }
            }
            for thread in threads { try #expect(thread.wait() == 200) }
        }

        @Test func `a run uses the caller's thread only`() throws {
            let file = try Engine.audioModel()
            let counts = ThreadResult<[Int]>(name: "run") {
                let name = "litert-test"
                try Engine.nameThread(name)
                var counts = [Engine.threadCount(named: name)]
                let model = try Engine.load(file)
                _ = try model.run([Tensor(zeros: .float, [1, 43_844, 1])])
                counts.append(Engine.threadCount(named: name))
                return counts
            }
            try #expect(counts.wait() == [1, 1])
        }

        @Test func `a real network with several outputs`() throws {
            let model = try Engine.load(Engine.audioModel())
            #expect(model.inputNames == ["input_2"])
            #expect(model.outputNames == ["onset", "note", "contour"])
            model.warmUp(watch: RunWatch(clock: .system))
            let ramp = (0..<43_844).map { Float($0 % 7) }
            for batch in [1, 2] {
                let samples = (0..<batch).flatMap { _ in ramp }
                let outputs = try model.run([makeTensor(.float, samples, [batch, 43_844, 1])])
                #expect(outputs.map { $0?.shape } == [[batch, 172, 88], [batch, 172, 88], [batch, 172, 264]])
                // What TensorFlow Lite 2.21 gives.
                let starts = outputs.map { $0?.elements(as: Float.self).first ?? 0 }
                for (start, expected) in zip(starts, [0.204_645_9, 0.154_930_9, 0.131_000_9] as [Float]) {
                    #expect(abs(start - expected) < 1e-4)
                }
            }
        }

        @Test func `warms up`() throws {
            for model in [Models.product(dimensions: [nil, 2]), Models.compare, Models.places(), Models.constants] {
                try Engine.load(model).warmUp(watch: RunWatch(clock: .system))
            }
        }
    }
}
