import Glibc
import Tensors
import TestSupport
import Testing

@testable import Inference
@testable import TensorFlowBackend

extension TensorFlowTests {
    @Suite struct SavedModelTests {
        @Test func `the serving signature names inputs and outputs, in alphabetical order`() throws {
            let model = try Engine.load(SavedModels.archive(SavedModels.product))
            #expect(model.inputNames == ["left", "right"])
            #expect(model.outputNames == ["copy", "product"])
            let outputs = try model.run([makeTensor(.float, [3] as [Float]), makeTensor(.float, [5] as [Float])])
            #expect(outputs.map { $0?.elements(as: Float.self) } == [[5], [15]])
            model.warmUp(watch: RunWatch(clock: .system))
        }

        @Test(arguments: [["right", "left"], ["b", "a"], ["b:0", "left"]])
        func `clients may name them too, by key or by the graph's names`(inputs: [String]) throws {
            let model = try Engine.load(SavedModels.archive(SavedModels.product), inputs, ["mul:0"])
            #expect(model.inputNames == inputs)
            #expect(model.outputNames == ["mul:0"])
            let output = try model.run([makeTensor(.float, [3] as [Float]), makeTensor(.float, [5] as [Float])])
            #expect(output.first??.elements(as: Float.self) == [15])
        }

        @Test(arguments: ["none", "mul:1", "mul:x", "mul:-1", "mul:", "mul:0:0", "mul\0", ""])
        func `a name that is nowhere is refused`(name: String) {
            let text = "\(name) is neither in the signature nor in the graph"
            let archive = SavedModels.archive(SavedModels.product)
            #expect(Engine.refusal(archive, ["a", "b"], [name]) == "ERR SavedModel: output \(text)")
            #expect(Engine.refusal(archive, ["a", name], ["mul"]) == "ERR SavedModel: input \(text)")
        }

        @Test func `the only signature counts as the serving one`() throws {
            var description = SavedModels.product
            description.signatures[0].name = "score"
            try #expect(Engine.load(SavedModels.archive(description)).inputNames == ["left", "right"])
            description.signatures.append(("other", ["x": "a:0"], ["y": "id:0"]))
            let text = "ERR SavedModel: there is no signature serving_default; INPUTS and OUTPUTS must be given"
            #expect(Engine.refusal(SavedModels.archive(description)) == text)
            #expect(Engine.refusal(SavedModels.archive(description), ["b"], ["id"]) == nil)
        }

        @Test func `there must be exactly one graph for serving`() {
            var description = SavedModels.product
            description.tags = ["serve", "tpu"]
            let other = "ERR SavedModel: no graph has the tag serve, and no other"
            #expect(Engine.refusal(SavedModels.archive(description)) == other)
            let graph = SavedModels.metaGraph(SavedModels.product)
            let twice = Protobuf { model in
                model.message(2, graph)
                model.message(2, graph)
            }
            let refusal = Engine.refusal(Archives.tar([("saved_model.pb", twice.bytes)]))
            #expect(refusal == "ERR SavedModel: several graphs have the tag serve")
        }

        @Test func `what is no SavedModel is refused`() {
            let refusal = Engine.refusal(Archives.tar([("saved_model.pb", [1, 2, 3])]))
            #expect(refusal == "ERR SavedModel: saved_model.pb cannot be read")
            #expect(Engine.refusal(Archives.gzip([1, 2, 3])) == "ERR SavedModel archive: it is cut short")
        }

        @Test func `a text of the engine does not tell where the files were`() {
            var description = SavedModels.product
            description.nodes.append(TF.node("bad", "Mul", ["a", "nowhere"], [TF.attribute("T", .float)]))
            #expect(Engine.refusal(SavedModels.archive(description))?.contains("nowhere") == true)
            description = SavedModels.product
            // Text that is not Unicode is refused by the engine's parser alone.
            description.nodes.append(Protobuf { $0.content(1, [0xFF]) })
            let refusal = Engine.refusal(SavedModels.archive(description))
            #expect(refusal?.contains("saved_model.pb") == true)
            #expect(refusal?.contains("redisai-savedmodel-") == false)
        }

        @Test func `nothing is left behind, whether a model is loaded or refused`() throws {
            let before = Self.temporaryFolders()
            _ = try Engine.load(SavedModels.archive(SavedModels.product))
            #expect(Engine.refusal(Archives.tar([("saved_model.pb", [1, 2, 3])])) != nil)
            #expect(Engine.refusal(SavedModels.archive(SavedModels.product), ["a"], ["none"]) != nil)
            #expect(Self.temporaryFolders() == before)
        }

        @Test func `an interrupted model is loaded anew`() throws {
            let description = SavedModels.Description(
                nodes: Graphs.loopNodes, signatures: [("serving_default", ["n": "n:0"], ["end": "end:0"])])
            let model = try Engine.load(SavedModels.archive(description))
            let watch = RunWatch(clock: .system)
            let endless = ThreadResult<[Tensor?]>(name: "endless") {
                try model.run([makeTensor(.int64, [Int64.max], [])], watch: watch)
            }
            while !endless.hasEnded { watch.interrupt(olderThan: 0) }
            #expect(throws: InferenceError.self) { try endless.wait() }
            let output = try model.run([makeTensor(.int64, [7 as Int64], [])]).first ?? nil
            #expect(output?.elements(as: Int64.self) == [7])
        }

        private static func temporaryFolders() -> Int {
            guard let folder = opendir(getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp") else { return -1 }
            defer { closedir(folder) }
            var count = 0
            while let entry = readdir(folder) {
                let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                    pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
                }
                if name.hasPrefix("redisai-savedmodel-") { count += 1 }
            }
            return count
        }
    }

    /// A network that turns audio into notes, as it is published.
    @Suite struct BasicPitchTests {
        private static func file(_ path: String) throws -> [UInt8] {
            guard let folder = getenv("REDISAI_BASIC_PITCH").map({ String(cString: $0) }),
                let file = fopen("\(folder)/basic_pitch/saved_models/icassp_2022/nmp/\(path)", "r")
            else { throw Engine.Missing("REDISAI_BASIC_PITCH", "the folder of the package basic-pitch") }
            defer { fclose(file) }
            var bytes: [UInt8] = []
            var buffer = [UInt8](repeating: 0, count: 65_536)
            while case let count = fread(&buffer, 1, buffer.count, file), count > 0 { bytes += buffer[..<count] }
            return bytes
        }

        private static func files() throws -> [Archives.File] {
            try ["saved_model.pb", "variables/variables.index", "variables/variables.data-00000-of-00001"].map { path in
                ("nmp/\(path)", try file(path))
            }
        }

        private func notes(_ model: any LoadedModel) throws -> [Tensor?] {
            // A hum of 440 Hz at 22050 samples per second.
            let samples = (0..<43_844).map { sinf(Float($0) * 440 / 22_050 * 2 * .pi) / 2 }
            return try model.run([makeTensor(.float, samples, [1, 43_844, 1])])
        }

        @Test func `a real model with variables runs`() throws {
            let model = try Engine.load(Archives.tar(Self.files()))
            #expect(model.inputNames == ["input_2"])
            #expect(model.outputNames == ["contour", "note", "onset"])
            #expect(model.memoryUsage > 200_000)
            let outputs = try notes(model)
            #expect(outputs.map { $0?.shape.dimensions } == [[1, 172, 264], [1, 172, 88], [1, 172, 88]])
            // What TensorFlow's own Python interface makes of the same samples.
            for (output, sum) in zip(outputs, [4_578.83, 1_593.53, 1_454.12]) {
                let total = try #require(output).elements(as: Float.self).reduce(0.0) { $0 + Double($1) }
                #expect(abs(total - sum) < sum / 1_000)
            }
            let note = try #require(outputs[1]?.elements(as: Float.self))
            // The key of A4, in the middle of the hum.
            let keys = note[(86 * 88)..<(87 * 88)]
            let loudest = try #require(keys.indices.max { keys[$0] < keys[$1] })
            #expect(loudest - keys.startIndex == 48)
        }

        @Test func `the format of the archive makes no difference`() throws {
            let expected = try notes(Engine.load(Archives.tar(Self.files()))).map { $0?.storedBytes }
            for archive in try [Archives.gzip(Archives.tar(Self.files())), Archives.zip(Self.files())] {
                try #expect(notes(Engine.load(archive)).map { $0?.storedBytes } == expected)
            }
        }
    }
}
