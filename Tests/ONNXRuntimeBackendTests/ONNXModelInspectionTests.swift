import Inference
import TestSupport
import Testing

@testable import ONNXRuntimeBackend

@Suite struct ONNXModelInspectionTests {
    /// Where a model can have a tensor.
    enum Place: CaseIterable {
        case initializer, constant, tensorList, thenBranch, graphList, loopInLoop, functionNode, functionDefault
        case sparseValues, sparseIndices, sparseConstant, sparseList, training, trainingStep

        /// A model with `tensor` in this place.
        func model(_ tensor: Protobuf) -> [UInt8] {
            switch self {
            case .initializer: ONNX.model(ONNX.graph([], initializers: [tensor]))
            case .constant: inAttribute { $0.message(5, tensor) }
            case .tensorList: inAttribute { $0.message(10, tensor) }
            case .thenBranch: inAttribute { $0.message(6, ONNX.graph([], initializers: [tensor])) }
            case .graphList: inAttribute { $0.message(11, ONNX.graph([], initializers: [tensor])) }
            case .loopInLoop:
                ONNX.model(nested(ONNX.graph([], initializers: [tensor]), levels: 2))
            case .functionNode:
                ONNX.model { model in model.message(25) { $0.message(7, node { $0.message(5, tensor) }) } }
            case .functionDefault:
                ONNX.model { model in model.message(25) { $0.message(11) { $0.message(5, tensor) } } }
            case .sparseValues: ONNX.model(Protobuf { graph in graph.message(15) { $0.message(1, tensor) } })
            case .sparseIndices: ONNX.model(Protobuf { graph in graph.message(15) { $0.message(2, tensor) } })
            case .sparseConstant: inAttribute { attribute in attribute.message(22) { $0.message(1, tensor) } }
            case .sparseList: inAttribute { attribute in attribute.message(23) { $0.message(1, tensor) } }
            case .training: inTraining(1, tensor)
            case .trainingStep: inTraining(2, tensor)
            }
        }

        private func node(_ attribute: (inout Protobuf) -> Void) -> Protobuf {
            Protobuf { $0.message(5, attribute) }
        }

        private func inAttribute(_ attribute: (inout Protobuf) -> Void) -> [UInt8] {
            ONNX.model(ONNX.graph([node(attribute)]))
        }

        private func inTraining(_ field: Int, _ tensor: Protobuf) -> [UInt8] {
            ONNX.model { model in
                model.message(20) { $0.message(field, ONNX.graph([], initializers: [tensor])) }
            }
        }
    }

    private static let here = ONNX.tensor("w", .float, [2], [Float(1), 2])
    private static let refusal = InferenceError("Initializer tensors with external data is not allowed.")
    private static let malformed = InferenceError("Failed to load model because protobuf parsing failed.")

    @discardableResult
    private func check(_ model: [UInt8]) throws -> Int {
        try model.withUnsafeBytes { try ONNXModelInspection.check($0) }
    }

    // MARK: External data

    @Test(arguments: Place.allCases)
    func `accepts tensors with their data`(place: Place) throws {
        try check(place.model(Self.here))
    }

    @Test(arguments: Place.allCases)
    func `refuses a tensor that names a file`(place: Place) {
        #expect(throws: Self.refusal) { try check(place.model(Self.here.namingFile())) }
    }

    @Test(arguments: Place.allCases)
    func `refuses a tensor that says its data stand elsewhere`(place: Place) {
        #expect(throws: Self.refusal) { try check(place.model(Self.here.with { $0.number(14, 1) })) }
    }

    @Test(arguments: Place.allCases)
    func `accepts a tensor that says its data stand here`(place: Place) throws {
        try check(place.model(Self.here.with { $0.number(14, 0) }))
    }

    @Test func `refuses one such tensor among many`() {
        let tensors = Array(repeating: Self.here, count: 50) + [Self.here.namingFile()]
        #expect(throws: Self.refusal) { try check(ONNX.model(ONNX.graph([], initializers: tensors))) }
    }

    @Test func `looks at every graph when there are several`() {
        let (clean, external) = (ONNX.graph([]), ONNX.graph([], initializers: [Self.here.namingFile()]))
        for graphs in [[clean, external], [external, clean]] {
            let model = ONNX.model { model in for graph in graphs { model.message(7, graph) } }
            #expect(throws: Self.refusal) { try check(model) }
        }
    }

    @Test func `the same field numbers mean nothing outside of tensors`() throws {
        let graph = ONNX.graph([]).with { graph in
            graph.message(13, ONNX.value("v", .float))
            graph.message(14) { $0.text(1, "v") }
        }
        try check(ONNX.model(graph))
        try check(ONNX.model { $0.message(14) { $0.text(1, "key") } })
    }

    // MARK: Disguises

    /// Parsers of protobuf take tags and enumerations as 32 bits, and numbers in more bytes than needed.
    private static let disguises: [(name: String, field: Protobuf)] = [
        ("long number", field(14 << 3, value: 1, valueLength: 10)),
        ("number beyond 32 bits", field(14 << 3, value: 1 << 32 | 1)),
        ("long tag", field(14 << 3, tagLength: 5, value: 1)),
        ("tag beyond 32 bits", field(1 << 32 | 14 << 3, value: 1)),
        ("file behind a tag beyond 32 bits", field(1 << 32 | 13 << 3 | 2, value: 0)),
    ]

    private static func field(_ tag: UInt64, tagLength: Int = 1, value: UInt64, valueLength: Int = 1) -> Protobuf {
        Protobuf { message in
            message.varint(tag, length: tagLength)
            message.varint(value, length: valueLength)
        }
    }

    @Test(arguments: disguises)
    func `refuses a disguised tensor`(name: String, field: Protobuf) {
        let tensor = Self.here.with { $0.raw(field.bytes) }
        #expect(throws: InferenceError.self) { try check(ONNX.model(ONNX.graph([], initializers: [tensor]))) }
    }

    @Test(arguments: [false, true])
    func `refuses a disguised graph`(isBeyond32Bits: Bool) {
        let graph = ONNX.graph([], initializers: [Self.here.namingFile()])
        let model = ONNX.model { model in
            model.varint((isBeyond32Bits ? 1 << 32 : 0) | 7 << 3 | 2, length: 5)
            model.varint(UInt64(graph.bytes.count))
            model.raw(graph.bytes)
        }
        #expect(throws: InferenceError.self) { try check(model) }
    }

    // MARK: Malformed models

    private static let truncated: [[UInt8]] = [
        // Tag, varint, fixed 64, fixed 32, length, content: each cut short.
        [0x80], [0x08], [0x08, 0x80], [0x09, 1, 2, 3, 4, 5, 6, 7], [0x0D, 1, 2, 3], [0x3A], [0x3A, 0x80], [0x3A, 1],
        [0x3A, 5, 1, 2, 3, 4],
    ]

    @Test(arguments: truncated)
    func `refuses truncated fields`(bytes: [UInt8]) {
        #expect(throws: Self.malformed) { try check(bytes) }
        // And the same inside a graph.
        #expect(throws: Self.malformed) { try check(Protobuf { $0.content(7, bytes) }.bytes) }
    }

    @Test(arguments: [
        [UInt8](repeating: 0xFF, count: 11), [0x3A] + [UInt8](repeating: 0xFF, count: 9) + [0x01],
        [0x3A] + [UInt8](repeating: 0xFF, count: 8) + [0x7F],
    ])
    func `refuses numbers and lengths that are too large`(bytes: [UInt8]) {
        #expect(throws: Self.malformed) { try check(bytes) }
    }

    @Test(arguments: [3, 4, 6, 7])
    func `refuses groups and unknown wire types`(wireType: Int) {
        #expect(throws: Self.malformed) { try check(Protobuf { $0.tag(30, wireType: wireType) }.bytes) }
        let group = Protobuf { message in
            message.tag(30, wireType: wireType)
            message.tag(30, wireType: 4)
        }
        #expect(throws: Self.malformed) { try check(ONNX.model(group)) }
    }

    @Test(arguments: [0, 1, 2, 5])
    func `refuses field 0`(wireType: Int) {
        let field = Protobuf { message in
            message.tag(0, wireType: wireType)
            message.raw([0, 0, 0, 0, 0, 0, 0, 0])
        }
        #expect(throws: Self.malformed) { try check(field.bytes) }
    }

    @Test func `skips fields it does not know, of every wire type`() throws {
        try check(
            ONNX.model { model in
                model.number(100, -1)
                model.fixed32(101, 1)
                model.fixed64(102, .max)
                model.text(103, "text")
            })
    }

    @Test(arguments: [(0, true), (1, true), (30, true), (34, false), (1_000, false)])
    func `refuses what is nested too deep`(levels: Int, isAccepted: Bool) throws {
        let model = ONNX.model(nested(ONNX.graph([]), levels: levels))
        if isAccepted {
            try check(model)
        } else {
            #expect(throws: Self.malformed) { try check(model) }
        }
    }

    // MARK: Bytes that the engine's allocator does not see

    @Test func `counts large initializers only`() throws {
        let large = ONNX.tensor("l", .float, [1_000], [Float](repeating: 1, count: 1_000))
        try #expect(check(ONNX.model(ONNX.graph([], initializers: [Self.here]))) == 0)
        let counted = try check(ONNX.model(ONNX.graph([], initializers: [large, Self.here, large])))
        #expect((8_000..<8_200).contains(counted))
    }
}

extension Protobuf {
    /// A copy with more fields.
    fileprivate func with(_ more: (inout Protobuf) -> Void) -> Protobuf {
        var copy = self
        more(&copy)
        return copy
    }

    /// A tensor whose data are another file's.
    fileprivate func namingFile() -> Protobuf {
        with { tensor in
            tensor.message(13) { entry in
                entry.text(1, "location")
                entry.text(2, "/etc/passwd")
            }
        }
    }
}

/// A graph whose only node holds a graph whose only node ..., with `innermost` at the end.
private func nested(_ innermost: Protobuf, levels: Int) -> Protobuf {
    (0..<levels).reduce(innermost) { graph, _ in
        ONNX.graph([ONNX.node("Loop", [], [], [ONNX.attribute("body", graph: graph)])])
    }
}
