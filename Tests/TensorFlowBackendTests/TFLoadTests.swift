import Glibc
import Inference
import Tensors
import TestSupport
import Testing

@testable import TensorFlowBackend

extension TensorFlowTests {
    @Suite struct LoadTests {
        @Test func `the library tells its version, in INFO too`() throws {
            let version = try Engine.backend().version
            #expect(version.split(separator: ".").count == 3)
            let info = try Engine.backend().info(workers: 2)
            #expect(info.map(\.name) == ["TensorFlow_version"])
            #expect(info.map(\.value) == [version])
        }

        @Test(arguments: ["GPU", "GPU:0", "GPU:3"])
        func `a GPU that is not there is refused`(device: String) {
            #expect(throws: InferenceError("ERR GPU requested but TF couldn't find CUDA")) {
                try Engine.load(Graphs.product(), ["a", "b"], ["mul"], device: device)
            }
        }

        @Test(arguments: [[1, 2, 3], Array("not a model".utf8), [0x0A, 5, 1]])
        func `what is no graph is refused with the engine's text`(bytes: [UInt8]) {
            #expect(Engine.refusal(bytes, ["a"], ["b"]) == "Invalid GraphDef")
        }

        @Test func `a graph of nothing lacks the input`() {
            #expect(Engine.refusal([], ["a"], ["b"]) == "ERR Input node named \"a\" not found in TF graph.")
        }

        @Test(arguments: ["none", "mul", "a:0", "a\0", ""])
        func `an input must be a placeholder`(name: String) {
            let refusal = Engine.refusal(Graphs.product(), ["b", name], ["mul"])
            #expect(refusal == "ERR Input node named \"\(name)\" not found in TF graph.")
        }

        @Test(arguments: ["none", "mul:0", "^mul", "mul\0"])
        func `an output must be a node`(name: String) {
            let refusal = Engine.refusal(Graphs.product(), ["a", "b"], ["mul", name])
            #expect(refusal == "ERR Output node named \"\(name)\" not found in TF graph")
        }

        @Test func `an operation that does not exist is named`() {
            let graph = TF.graph([TF.placeholder("x", .float), TF.node("y", "Frobnicate", ["x"])])
            #expect(Engine.refusal(graph.bytes, ["x"], ["y"])?.contains("Frobnicate") == true)
        }

        @Test func `memory counts the weights`() throws {
            let model = try Engine.load(Graphs.weighted(count: 10_000), ["x"], ["y"])
            #expect(model.memoryUsage >= 80_000)
        }

        @Test func `models have no threads of their own`() throws {
            func load() throws -> any LoadedModel {
                let model = try Engine.load(Graphs.product(dimensions: [-1]), ["a", "b"], ["mul"])
                model.warmUp(watch: RunWatch(clock: .system))
                return model
            }
            var models = [try load()]
            let before = Self.ownThreads()
            for _ in 0..<10 { models.append(try load()) }
            #expect(Self.ownThreads() == before)
            // One across operators, which the library always makes, and one for constants.
            #expect(before <= 2)
        }

        /// The threads that carry the library's names.
        private static func ownThreads() -> Int {
            guard let folder = opendir("/proc/self/task") else { return -1 }
            defer { closedir(folder) }
            var count = 0
            while let entry = readdir(folder) {
                let id = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                    pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
                }
                guard let file = fopen("/proc/self/task/\(id)/comm", "r") else { continue }
                defer { fclose(file) }
                if fgetc(file) == Int32(UInt8(ascii: "t")), fgetc(file) == Int32(UInt8(ascii: "f")),
                    fgetc(file) == Int32(UInt8(ascii: "_"))
                {
                    count += 1
                }
            }
            return count
        }
    }

    @Suite struct LibraryTests {
        private func failure(path: String) throws -> String {
            try #require(throws: InferenceError.self) {
                try TensorFlowBackend(path: path, settings: EngineSettings())
            }.message
        }

        @Test func `a file that is no library is refused`() throws {
            try #expect(failure(path: "/dev/null").isEmpty == false)
            try #expect(failure(path: "/no/such/library.so").contains("/no/such/library.so"))
        }

        @Test func `a library that is not the engine's is refused`() throws {
            try #expect(failure(path: "libc.so.6") == "libc.so.6 is not TensorFlow")
        }
    }
}
