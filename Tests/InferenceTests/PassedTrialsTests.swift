import TestSupport
import Testing

@testable import Inference

@Suite struct PassedTrialsTests {
    private func fingerprint(_ content: [UInt8], device: String = "CPU") -> PassedTrials.Fingerprint {
        let request = ModelCheckRequest(
            backend: "FAKE", library: "/engines/fake.so", device: device, memoryLimit: 0, timeout: 1_000)
        return PassedTrials.Fingerprint(request, ModelBlob([ByteArray(content)]))
    }

    @Test func `the same content for the same engine has the same fingerprint`() {
        #expect(fingerprint([1, 2, 3]) == fingerprint([1, 2, 3]))
        #expect(fingerprint([1, 2, 3]) != fingerprint([1, 2, 4]))
        #expect(fingerprint([1, 2, 3]) != fingerprint([1, 2, 3], device: "CPU:1"))
    }

    @Test func `the latest trials are remembered`() {
        let trials = PassedTrials()
        for number in 0..<300 { trials.insert(fingerprint([UInt8(number & 255), UInt8(number >> 8)])) }
        #expect(!trials.contains(fingerprint([0, 0])))
        #expect(trials.contains(fingerprint([UInt8(299 & 255), 1])))
        #expect(trials.contains(fingerprint([44, 0])))
        #expect(!trials.contains(fingerprint([43, 0])))
    }
}
