import Inference
import Testing

@testable import PyTorchBackend

@Suite struct PyTorchLibraryTests {
    @Test func `a library that is not ours is refused`() {
        #expect(throws: InferenceError.self) { try PyTorchBackend(path: "libm.so.6", settings: EngineSettings()) }
    }
}
