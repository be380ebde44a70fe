internal import BackendSupport
internal import Inference
internal import Tensors

/// What the adapter knows of a model from looking through its file.
struct LiteRTGraph {
    /// An input or output.
    struct Port {
        let name: String
        let elementType: LiteRTElementType
        /// -1 for a free dimension.
        let declared: Shape
        /// The shape that the engine starts with: 1, as a rule, for a free dimension.
        let initial: Shape
        let isConstant: Bool
        /// Whether the elements may change from run to run.
        let varies: Bool
    }

    /// Where the bytes of an output come from.
    enum Origin {
        case computed
        /// The output is the input with this number.
        case input(Int)
        /// The output is the earlier output with this number.
        case output(Int)
    }

    /// The number of the signature that is run, and of its graph.
    var signature = 0
    var subgraph = 0
    var inputs: [Port] = []
    var outputs: [Port] = []
    var origins: [Origin] = []
    /// Whether the engine knows the shapes of outputs when it knows those of inputs, and writes outputs in every run.
    var hasFixedOutputs = true
    /// Whether there are strings, whose length no shape tells.
    var hasStrings = false
    /// The tensors of outputs that are to be copied when that is not so.
    var copiedTensors: [Int] = []
    /// Bytes of the constants, and of what is computed at the declared shapes.
    var constantBytes = 0
    var computedBytes = 0

    /// Whether the shapes of the inputs determine what a run costs, whatever their values are: operators whose results have
    /// known shapes neither loop nor branch.
    var costFollowsFromShapes: Bool { hasFixedOutputs && !hasStrings }

    /// Whether the size of an output is known before the run.
    func hasKnownSize(output index: Int) -> Bool {
        outputs[index].elementType.dataType != .string && (hasFixedOutputs || outputs[index].isConstant)
    }
}

/// Looks through a model's file before the engine sees it.
///
/// A model comes from a client. Its file may say that weights stand in another file, which the engine would read,
/// whatever it is; and it may have tensors that nothing ever writes, through which a run would return what happens to be
/// in memory. Such models are refused. Field numbers are those of TensorFlow Lite's schema.fbs.
struct LiteRTModelInspection {
    private static let externalFiles = InferenceError("ERR models with weights in other files are not allowed")
    private static let vendorCode = InferenceError("ERR models compiled for a vendor's library are not allowed")
    private static let offsets = InferenceError("ERR models with data behind the flatbuffer are not allowed")
    /// The key by which the engine refers to a model's first graph, whatever the file says.
    private static let reservedKey = "<placeholder signature>"

    private let model: Flatbuffer.Table
    private let buffers: Flatbuffer.Tables
    private let operatorCodes: [Int32]
    private var graph = LiteRTGraph()

    /// - Throws: for a model that is refused.
    static func check(
        _ bytes: UnsafeRawBufferPointer, allowsUnsafeOperations: Bool
    ) throws(InferenceError) -> LiteRTGraph {
        let model = try Flatbuffer(bytes, orThrow: .cannotLoad).root(identifier: "TFL3")
        var inspection = try LiteRTModelInspection(model, allowsUnsafeOperations)
        try inspection.inspect()
        return inspection.graph
    }

    private init(_ model: Flatbuffer.Table, _ allowsUnsafeOperations: Bool) throws(InferenceError) {
        self.model = model
        buffers = try model.tables(4)
        operatorCodes = try Self.operatorCodes(model, allowsUnsafeOperations)
        let (groups, externalBuffers) = (try model.tables(8).count, try model.tables(9).count)
        guard allowsUnsafeOperations || (groups == 0 && externalBuffers == 0) else { throw Self.externalFiles }
    }

    private static func operatorCodes(
        _ model: Flatbuffer.Table, _ allowsUnsafeOperations: Bool
    ) throws(InferenceError) -> [Int32] {
        var codes: [Int32] = []
        let tables = try model.tables(1)
        for index in 0..<tables.count {
            let code = try tables.table(index)
            let name = try code.text(1)
            guard allowsUnsafeOperations || !name.contains("DISPATCH_OP") else { throw vendorCode }
            // Files of old stand with the code in a byte.
            codes.append(max(Int32(try code.number(0, default: Int8(0))), try code.number(3, default: 0)))
        }
        return codes
    }

    private mutating func inspect() throws(InferenceError) {
        let subgraphs = try model.tables(2)
        guard subgraphs.count > 0 else { throw .cannotLoad }
        for index in 0..<buffers.count {
            guard try buffers.table(index).number(1, default: UInt64(0)) <= 1 else { throw Self.offsets }
        }
        let signature = try Signature(model)
        graph.signature = signature?.index ?? 0
        let main = signature?.subgraph ?? 0
        graph.subgraph = main
        for index in 0..<subgraphs.count {
            let subgraph = try Subgraph(subgraphs.table(index), buffers: buffers, operatorCodes: operatorCodes)
            guard !subgraph.hasOffsets else { throw Self.offsets }
            graph.hasFixedOutputs = graph.hasFixedOutputs && subgraph.hasFixedShapes
            graph.hasStrings =
                graph.hasStrings || subgraph.tensors.contains { $0.elementType.dataType == .string }
            graph.constantBytes = graph.constantBytes &+ subgraph.constantBytes
            graph.computedBytes = graph.computedBytes &+ subgraph.computedBytes
            if index == main { try describe(subgraph, signature) }
        }
        guard main < subgraphs.count else { throw .cannotLoad }
    }

    private mutating func describe(_ subgraph: Subgraph, _ signature: Signature?) throws(InferenceError) {
        if let signature {
            // The engine looks tensors up by these names, and does not expect to find none.
            guard Set(signature.inputs.keys) == Set(subgraph.inputs), signature.inputs.count == subgraph.inputs.count,
                Set(signature.outputs.keys) == Set(subgraph.outputs)
            else { throw .cannotLoad }
        } else {
            // Without a signature the engine makes one up, from the names of the tensors.
            guard subgraph.hasUniqueNames(subgraph.inputs, "input"), subgraph.hasUniqueNames(subgraph.outputs, "output")
            else { throw .cannotLoad }
        }
        for input in subgraph.inputs {
            graph.inputs.append(subgraph.port(input, named: signature?.inputs[input]))
        }
        for (index, output) in subgraph.outputs.enumerated() {
            graph.outputs.append(subgraph.port(output, named: signature?.outputs[output]))
            if let input = subgraph.inputs.firstIndex(of: output) {
                graph.origins.append(.input(input))
            } else if let earlier = subgraph.outputs[..<index].firstIndex(of: output) {
                graph.origins.append(.output(earlier))
            } else {
                graph.origins.append(.computed)
                let tensor = subgraph.tensors[output]
                guard !tensor.isConstant, let dataType = tensor.elementType.dataType, dataType != .string else {
                    continue
                }
                graph.copiedTensors.append(output)
                // Results of constants are calculated once, into the memory of the first run.
                graph.hasFixedOutputs = graph.hasFixedOutputs && subgraph.varies[output]
            }
        }
    }

    /// The signature that is run: the first of the first graph, else the first.
    private struct Signature {
        let index: Int
        let subgraph: Int
        /// Names by the number of the tensor.
        let inputs: [Int: String]
        let outputs: [Int: String]

        /// Nil for a model without signatures.
        init?(_ model: Flatbuffer.Table) throws(InferenceError) {
            let tables = try model.tables(7)
            guard tables.count > 0 else { return nil }
            var chosen: (index: Int, subgraph: Int)?
            var keys: Set<String> = []
            for index in 0..<tables.count {
                let table = try tables.table(index)
                let key = try table.text(2)
                guard key != LiteRTModelInspection.reservedKey, keys.insert(key).inserted else { throw .cannotLoad }
                let subgraph = Int(try table.number(4, default: UInt32(0)))
                if chosen == nil || (subgraph == 0 && chosen?.subgraph != 0) { chosen = (index, subgraph) }
            }
            guard let chosen else { return nil }
            index = chosen.index
            subgraph = chosen.subgraph
            inputs = try Self.names(tables.table(index).tables(0))
            outputs = try Self.names(tables.table(index).tables(1))
        }

        private static func names(_ entries: Flatbuffer.Tables) throws(InferenceError) -> [Int: String] {
            var names: [Int: String] = [:]
            var seen: Set<String> = []
            for index in 0..<entries.count {
                let entry = try entries.table(index)
                let name = try entry.text(0)
                guard seen.insert(name).inserted,
                    names.updateValue(name, forKey: Int(try entry.number(1, default: UInt32(0)))) == nil
                else { throw .cannotLoad }
            }
            return names
        }
    }
}

/// One graph of a model.
private struct Subgraph {
    struct Tensor {
        let name: String
        let elementType: LiteRTElementType
        let initial: Shape
        let declared: Shape
        let isConstant: Bool

        /// At the declared shape; 0 when that is beyond reason.
        var byteCount: Int {
            let (count, overflowed) = (initial.elementCount ?? 0)
                .multipliedReportingOverflow(by: elementType.dataType?.elementSize ?? 1)
            return overflowed ? 0 : min(count, 1 << 40)
        }
    }

    let tensors: [Tensor]
    let inputs: [Int]
    let outputs: [Int]
    /// By tensor: whether the elements may change from run to run with the same shapes.
    private(set) var varies: [Bool]
    private(set) var hasFixedShapes = true
    /// Whether an operator says where in the file its options are.
    private(set) var hasOffsets = false
    private(set) var constantBytes = 0
    private(set) var computedBytes = 0

    init(
        _ table: Flatbuffer.Table, buffers: Flatbuffer.Tables, operatorCodes: [Int32]
    ) throws(InferenceError) {
        tensors = try Self.tensors(table.tables(0), buffers)
        inputs = try Self.indices(table.numbers(1, of: Int32.self), tensors.count)
        outputs = try Self.indices(table.numbers(2, of: Int32.self), tensors.count)
        varies = Array(repeating: false, count: tensors.count)
        for input in inputs { varies[input] = true }
        // An input in two places would be two tensors in one.
        guard Set(inputs).count == inputs.count else { throw .cannotLoad }
        for tensor in tensors {
            if tensor.isConstant {
                constantBytes = constantBytes &+ tensor.byteCount
            } else {
                computedBytes = computedBytes &+ tensor.byteCount
            }
        }
        try follow(table.tables(3), operatorCodes)
    }

    func port(_ index: Int, named name: String?) -> LiteRTGraph.Port {
        let tensor = tensors[index]
        return LiteRTGraph.Port(
            name: name ?? tensor.name, elementType: tensor.elementType, declared: tensor.declared,
            initial: tensor.initial, isConstant: tensor.isConstant, varies: varies[index])
    }

    /// Whether the names that the engine uses for these tensors are different: a tensor without one is called by its
    /// place.
    func hasUniqueNames(_ places: [Int], _ prefix: String) -> Bool {
        var names: [String: Int] = [:]
        for (place, tensor) in places.enumerated() {
            let name = tensors[tensor].name.isEmpty ? "\(prefix)\(place)" : tensors[tensor].name
            if let other = names.updateValue(tensor, forKey: name), other != tensor { return false }
        }
        return true
    }

    private static func tensors(
        _ tables: Flatbuffer.Tables, _ buffers: Flatbuffer.Tables
    ) throws(InferenceError) -> [Tensor] {
        var tensors: [Tensor] = []
        tensors.reserveCapacity(tables.count)
        for index in 0..<tables.count {
            let table = try tables.table(index)
            let initial = Shape(try table.numbers(0, of: Int32.self)?.map { Int($0) } ?? [])
            let signature = Shape(try table.numbers(7, of: Int32.self)?.map { Int($0) } ?? [])
            tensors.append(
                Tensor(
                    name: try table.text(3),
                    elementType: LiteRTElementType(code: try table.number(1, default: Int8(0))),
                    initial: initial, declared: signature.rank == initial.rank ? signature : initial,
                    isConstant: try isConstant(buffers, Int(try table.number(2, default: UInt32(0))))))
        }
        return tensors
    }

    private static func isConstant(_ buffers: Flatbuffer.Tables, _ index: Int) throws(InferenceError) -> Bool {
        guard index != 0 else { return false }
        return try buffers.table(index).byteCount(0) > 0
    }

    /// Indices that are all of tensors.
    private static func indices(_ numbers: [Int32]?, _ limit: Int) throws(InferenceError) -> [Int] {
        let indices = (numbers ?? []).map { Int($0) }
        guard indices.allSatisfy({ $0 >= 0 && $0 < limit }) else { throw .cannotLoad }
        return indices
    }

    /// Follows the operators in the order in which they are run.
    private mutating func follow(
        _ operators: Flatbuffer.Tables, _ operatorCodes: [Int32]
    ) throws(InferenceError) {
        // What has content: from the file, from outside, or because there is none to have.
        var isWritten = tensors.map { $0.isConstant || $0.initial.elementCount == 0 }
        for input in inputs { isWritten[input] = true }
        let inputs = Set(self.inputs)
        for index in 0..<operators.count {
            let table = try operators.table(index)
            let codeIndex = Int(try table.number(0, default: UInt32(0)))
            guard codeIndex < operatorCodes.count else { throw .cannotLoad }
            let operation = LiteRTOperation(code: operatorCodes[codeIndex])
            let arguments = try table.numbers(1, of: Int32.self) ?? []
            for (position, argument) in arguments.enumerated() where argument != -1 {
                guard argument >= 0, argument < tensors.count else { throw .cannotLoad }
                guard isWritten[Int(argument)] || operation.ignoresContent(ofInput: position) else { throw .cannotLoad }
            }
            let results = try Self.indices(table.numbers(2, of: Int32.self), tensors.count)
            // An operator that writes to an input would write to the client's tensor, which others share.
            guard inputs.isDisjoint(with: results) else { throw .cannotLoad }
            hasFixedShapes =
                hasFixedShapes
                && operation.hasFixedShapes { position in
                    position >= arguments.count || arguments[position] == -1
                        || tensors[Int(arguments[position])].isConstant
                }
            let isVarying =
                operation.readsElements
                && arguments.contains { $0 != -1 && varies[Int($0)] }
            if try table.number(9, default: UInt64(0)) > 1 { hasOffsets = true }
            for result in results {
                isWritten[result] = true
                varies[result] = isVarying
            }
        }
        guard outputs.allSatisfy({ isWritten[$0] }) else { throw .cannotLoad }
    }
}
