import Inference
import Testing

@testable import ONNXRuntimeBackend

/// Whatever a client sends: an answer, never a crash.
@Suite struct ONNXModelInspectionFuzzTests {
    /// Repeatable random numbers (SplitMix64).
    private struct Random: RandomNumberGenerator {
        var state: UInt64

        mutating func next() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var mixed = state
            mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
            mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
            return mixed ^ (mixed >> 31)
        }
    }

    private static let model: [UInt8] = {
        let weights = ONNX.tensor("w", .float, [2], [Float(1), 2])
        let branch = ONNX.attribute("then_branch", graph: ONNX.graph([], initializers: [weights]))
        let nodes = [ONNX.node("Mul", ["x", "w"], ["y"]), ONNX.node("If", ["x"], ["z"], [branch])]
        return ONNX.model(
            ONNX.graph(
                nodes, inputs: [ONNX.value("x", .float, [2])], outputs: [ONNX.untyped("y")], initializers: [weights]))
    }()

    /// How a check ended.
    private enum Verdict: Hashable {
        case accepted
        case refused(String)
    }

    private func verdict(_ bytes: UnsafeRawBufferPointer) -> Verdict {
        do throws(InferenceError) {
            _ = try ONNXModelInspection.check(bytes)
            return .accepted
        } catch {
            return .refused(error.message)
        }
    }

    /// The verdicts on `count` inputs that `prepare` makes in place.
    private func verdicts(
        count: Int, seed: UInt64, _ prepare: (UnsafeMutableRawBufferPointer, inout Random) -> Int
    ) -> Set<Verdict> {
        var random = Random(state: seed)
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 4_096, alignment: 16)
        defer { buffer.deallocate() }
        var seen: Set<Verdict> = []
        for _ in 0..<count {
            let length = prepare(buffer, &random)
            seen.insert(verdict(UnsafeRawBufferPointer(rebasing: buffer[..<length])))
        }
        return seen
    }

    @Test func `survives random bytes`() {
        let seen = verdicts(count: 50_000, seed: 1) { buffer, random in
            let length = Int.random(in: 0...128, using: &random)
            for offset in stride(from: 0, to: length, by: 8) {
                buffer.storeBytes(of: random.next(), toByteOffset: offset, as: UInt64.self)
            }
            return length
        }
        #expect(seen.contains(.accepted))
        #expect(seen.contains { $0 != .accepted })
    }

    @Test func `survives random changes to a model`() {
        let seen = verdicts(count: 50_000, seed: 2) { buffer, random in
            buffer.copyBytes(from: Self.model)
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                buffer[Int.random(in: 0..<Self.model.count, using: &random)] = UInt8(truncatingIfNeeded: random.next())
            }
            return Self.model.count
        }
        // Accepted, malformed, and external data by chance.
        #expect(seen.count == 3)
    }

    @Test func `survives a model cut anywhere`() {
        let verdicts = (0...Self.model.count).map { length in
            Self.model.withUnsafeBytes { verdict(UnsafeRawBufferPointer(rebasing: $0[..<length])) }
        }
        #expect(verdicts.first == .accepted)
        #expect(verdicts.last == .accepted)
        // The graph is the last field and most of the model.
        #expect(verdicts.count { $0 != .accepted } > Self.model.count / 2)
    }
}
