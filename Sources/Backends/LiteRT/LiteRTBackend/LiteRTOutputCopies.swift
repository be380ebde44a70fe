internal import Inference

/// Changes a model so that it copies its outputs.
///
/// The engine writes outputs to memory of ours only when it knows their shape before the operator runs that calculates
/// them. Where that operator finds the shape out itself, as many models with a free batch dimension end, the engine uses
/// memory of its own, and its interface has no way to it. An operator that copies comes after the shape is known.
struct LiteRTOutputCopies {
    /// The operator CAST, here from a type to the same.
    private static let copyCode: UInt32 = 53
    /// Fields of a model that are taken over as they are.
    private static let keptModelFields = [3, 4, 5, 6, 8, 9]

    private let model: Flatbuffer.Table
    private let signature: Int?
    private let subgraph: Int
    /// The tensors that are copied, in the order of their copies.
    private let copied: [Int]

    /// The bytes to put before the model's file.
    ///
    /// - Parameters:
    ///   - bytes: a file that has been looked through.
    ///   - graph: what was found.
    ///   - copied: the numbers of the tensors to copy, outputs of the signature's graph.
    static func prefix(
        for bytes: UnsafeRawBufferPointer, _ graph: LiteRTGraph
    ) throws(InferenceError) -> [UInt8] {
        let model = try Flatbuffer(bytes, orThrow: .cannotLoad).root(identifier: "TFL3")
        let copies = LiteRTOutputCopies(
            model: model, signature: try model.tables(7).count > 0 ? graph.signature : nil, subgraph: graph.subgraph,
            copied: graph.copiedTensors)
        return try copies.prefix()
    }

    private func prefix() throws(InferenceError) -> [UInt8] {
        var failure: InferenceError?
        let prefix = FlatbufferPrefix(identifier: "TFL3") { prefix in
            let root = prefix.announce()
            do throws(InferenceError) {
                try writeModel(root, &prefix)
            } catch {
                failure = error
            }
            return root
        }
        if let failure { throw failure }
        guard let bytes = prefix.finish() else { throw .cannotLoad }
        return bytes
    }

    private func writeModel(_ root: Int, _ prefix: inout FlatbufferPrefix) throws(InferenceError) {
        let (codes, subgraphs, signatures) = (prefix.announce(), prefix.announce(), prefix.announce())
        var fields: [(number: Int, content: FlatbufferPrefix.Field)] = [
            (0, .number(try model.number(0, default: 0))), (1, .reference(.new(codes))),
            (2, .reference(.new(subgraphs))),
        ]
        if signature != nil { fields.append((7, .reference(.new(signatures)))) }
        for field in Self.keptModelFields {
            if let target = try model.target(field) { fields.append((field, .reference(.old(target)))) }
        }
        prefix.table(root, fields)
        try writeOperatorCodes(codes, &prefix)
        try writeSubgraphs(subgraphs, &prefix)
        if let signature { try writeSignatures(signatures, changing: signature, &prefix) }
    }

    private func writeOperatorCodes(_ codes: Int, _ prefix: inout FlatbufferPrefix) throws(InferenceError) {
        let copy = prefix.announce()
        prefix.vector(codes, try references(model.tables(1)) + [.new(copy)])
        prefix.table(copy, [(0, .byte(UInt8(Self.copyCode))), (3, .number(Self.copyCode))])
    }

    private func references(_ tables: Flatbuffer.Tables) throws(InferenceError) -> [FlatbufferPrefix.Reference] {
        var references: [FlatbufferPrefix.Reference] = []
        references.reserveCapacity(tables.count)
        for index in 0..<tables.count { references.append(.old(try tables.target(index))) }
        return references
    }

    // MARK: The graph

    private func writeSubgraphs(_ subgraphs: Int, _ prefix: inout FlatbufferPrefix) throws(InferenceError) {
        let tables = try model.tables(2)
        let changed = prefix.announce()
        var all = try references(tables)
        all[subgraph] = .new(changed)
        prefix.vector(subgraphs, all)
        let table = try tables.table(subgraph)
        let (tensors, outputs, operators) = (prefix.announce(), prefix.announce(), prefix.announce())
        var fields: [(number: Int, content: FlatbufferPrefix.Field)] = [
            (0, .reference(.new(tensors))), (2, .reference(.new(outputs))), (3, .reference(.new(operators))),
        ]
        for field in [1, 4] {
            if let target = try table.target(field) { fields.append((field, .reference(.old(target)))) }
        }
        prefix.table(changed, fields)
        try writeTensors(tensors, of: table, &prefix)
        let tensorCount = try table.tables(0).count
        prefix.vector(
            outputs,
            try (table.numbers(2, of: Int32.self) ?? []).map { UInt32(replacement(of: Int($0), tensorCount)) })
        try writeOperators(operators, of: table, &prefix)
    }

    /// The copy of a tensor, or the tensor when it is not copied.
    private func replacement(of tensor: Int, _ tensorCount: Int) -> Int {
        copied.firstIndex(of: tensor).map { tensorCount + $0 } ?? tensor
    }

    private func writeTensors(
        _ tensors: Int, of subgraph: Flatbuffer.Table, _ prefix: inout FlatbufferPrefix
    ) throws(InferenceError) {
        let old = try subgraph.tables(0)
        let copies = copied.map { _ in prefix.announce() }
        prefix.vector(tensors, try references(old) + copies.map { .new($0) })
        for (copy, index) in zip(copies, copied) {
            let original = try old.table(index)
            var fields: [(number: Int, content: FlatbufferPrefix.Field)] = [
                (1, .byte(try original.number(1, default: 0))), (8, .byte(try original.number(8, default: 0))),
            ]
            // Shape, name, quantization and the shape with its free dimensions.
            for field in [0, 3, 4, 7] {
                if let target = try original.target(field) { fields.append((field, .reference(.old(target)))) }
            }
            prefix.table(copy, fields)
        }
    }

    private func writeOperators(
        _ operators: Int, of subgraph: Flatbuffer.Table, _ prefix: inout FlatbufferPrefix
    ) throws(InferenceError) {
        let tensorCount = try subgraph.tables(0).count
        let code = UInt32(try model.tables(1).count)
        let copies = copied.map { _ in prefix.announce() }
        prefix.vector(operators, try references(subgraph.tables(3)) + copies.map { .new($0) })
        for (index, copy) in copies.enumerated() {
            let (inputs, outputs) = (prefix.announce(), prefix.announce())
            prefix.table(
                copy, [(0, .number(code)), (1, .reference(.new(inputs))), (2, .reference(.new(outputs)))])
            prefix.vector(inputs, [UInt32(copied[index])])
            prefix.vector(outputs, [UInt32(tensorCount + index)])
        }
    }

    // MARK: Signatures

    private func writeSignatures(
        _ signatures: Int, changing changed: Int, _ prefix: inout FlatbufferPrefix
    ) throws(InferenceError) {
        let tables = try model.tables(7)
        let tensorCount = try model.tables(2).table(subgraph).tables(0).count
        var all = try references(tables)
        // Every signature of the graph, for they have to agree with it.
        var written: [(object: Int, table: Flatbuffer.Table)] = []
        for index in 0..<tables.count {
            let table = try tables.table(index)
            guard Int(try table.number(4, default: UInt32(0))) == subgraph else { continue }
            let object = prefix.announce()
            all[index] = .new(object)
            written.append((object, table))
        }
        prefix.vector(signatures, all)
        for (object, table) in written { try writeSignature(object, table, tensorCount, &prefix) }
    }

    private func writeSignature(
        _ object: Int, _ table: Flatbuffer.Table, _ tensorCount: Int, _ prefix: inout FlatbufferPrefix
    ) throws(InferenceError) {
        let outputs = prefix.announce()
        var fields: [(number: Int, content: FlatbufferPrefix.Field)] = [
            (1, .reference(.new(outputs))), (4, .number(UInt32(subgraph))),
        ]
        for field in [0, 2] {
            if let target = try table.target(field) { fields.append((field, .reference(.old(target)))) }
        }
        prefix.table(object, fields)
        let old = try table.tables(1)
        let entries = (0..<old.count).map { _ in prefix.announce() }
        prefix.vector(outputs, entries.map { .new($0) })
        for (index, entry) in entries.enumerated() {
            let original = try old.table(index)
            let tensor = Int(try original.number(1, default: UInt32(0)))
            var fields: [(number: Int, content: FlatbufferPrefix.Field)] = [
                (1, .number(UInt32(replacement(of: tensor, tensorCount))))
            ]
            if let name = try original.target(0) { fields.append((0, .reference(.old(name)))) }
            prefix.table(entry, fields)
        }
    }
}
