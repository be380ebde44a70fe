internal import BackendSupport
internal import Inference

/// What a SavedModel says about itself: the part of `saved_model.pb` that matters for loading it. Field numbers are those
/// of saved_model.proto and meta_graph.proto. To be used only while the bytes are there.
struct TFSavedModel {
    private(set) var graph = TFGraphReader()
    private(set) var signatures: [Signature] = []
    /// The node that is fed with the file name when variables are restored.
    private(set) var restoreFile = WireText(.init(start: nil, count: 0))
    /// The nodes that restore variables.
    private(set) var restoreOperations: [WireText] = []
    /// The nodes that the library runs once after restoring.
    private(set) var initOperations: [WireText] = []
    private(set) var assets: [Asset] = []

    static let malformed = InferenceError("ERR SavedModel: saved_model.pb cannot be read")
    private static let initKey: StaticString = "__saved_model_init_op"
    private static let trainKey: StaticString = "__saved_model_train_op"

    /// A way to run the model: keys, each with the tensor it stands for, as they come.
    struct Signature {
        let name: WireText
        var inputs: [Entry] = []
        var outputs: [Entry] = []

        /// `tensor` is `node:port`; nil for what is not one plain tensor.
        struct Entry {
            let key: WireText
            let tensor: WireText?
        }
    }

    /// A file that the library feeds the name of.
    struct Asset {
        var tensor = WireText(.init(start: nil, count: 0))
        var isPlainTensor = true
        var fileNames: [WireText] = []
    }

    init(_ bytes: UnsafeRawBufferPointer) throws(InferenceError) {
        var served: UnsafeRawBufferPointer?
        var fields = WireReader(bytes)
        while let field = try fields.next(orThrow: Self.malformed) {
            guard field.number == 2, let content = field.content, try Self.isForServing(content) else { continue }
            guard served == nil else { throw InferenceError("ERR SavedModel: several graphs have the tag serve") }
            served = content
        }
        guard let served else { throw InferenceError("ERR SavedModel: no graph has the tag serve, and no other") }
        try read(metaGraph: served)
    }

    /// The signature that counts when nobody says which: `serving_default`, or the only one.
    var servingSignature: Signature? {
        let candidates = signatures.filter { !($0.name == Self.initKey) && !($0.name == Self.trainKey) }
        return candidates.last { $0.name == "serving_default" } ?? (candidates.count == 1 ? candidates[0] : nil)
    }

    // MARK: Reading

    /// Whether the tags of a graph are `serve` alone.
    private static func isForServing(_ bytes: UnsafeRawBufferPointer) throws(InferenceError) -> Bool {
        var tags: Set<WireText> = []
        var fields = WireReader(bytes)
        while let field = try fields.next(orThrow: malformed) {
            guard field.number == 1, let content = field.content else { continue }
            var info = WireReader(content)
            while let field = try info.next(orThrow: malformed) {
                if field.number == 4, let content = field.content { tags.insert(WireText(content)) }
            }
        }
        return tags.count == 1 && tags.allSatisfy { $0 == "serve" }
    }

    private mutating func read(metaGraph bytes: UnsafeRawBufferPointer) throws(InferenceError) {
        var fields = WireReader(bytes)
        while let field = try fields.next(orThrow: Self.malformed) {
            guard let content = field.content else { continue }
            switch field.number {
            case 2: try graph.read(graph: content)
            case 3: try read(saver: content)
            case 4: try read(collection: content)
            case 5: try read(signature: content)
            case 6: assets.append(try Self.asset(content))
            default: break
            }
        }
    }

    private mutating func read(saver bytes: UnsafeRawBufferPointer) throws(InferenceError) {
        var fields = WireReader(bytes)
        while let field = try fields.next(orThrow: Self.malformed) {
            guard let content = field.content else { continue }
            if field.number == 1 { restoreFile = WireText(content) }
            if field.number == 3 { restoreOperations.append(WireText(content)) }
        }
    }

    /// Graphs without an initialising signature name the node in a collection.
    private mutating func read(collection bytes: UnsafeRawBufferPointer) throws(InferenceError) {
        let (key, values) = try Self.mapEntry(bytes)
        guard key == "saved_model_main_op" || key == "legacy_init_op" else { return }
        for value in values {
            var fields = WireReader(value)
            while let field = try fields.next(orThrow: Self.malformed) {
                guard field.number == 1, let content = field.content else { continue }
                var list = WireReader(content)
                while let field = try list.next(orThrow: Self.malformed) {
                    if field.number == 1, let name = field.content { initOperations.append(WireText(name)) }
                }
            }
        }
    }

    private mutating func read(signature bytes: UnsafeRawBufferPointer) throws(InferenceError) {
        let (name, values) = try Self.mapEntry(bytes)
        var signature = Signature(name: name)
        for value in values {
            var fields = WireReader(value)
            while let field = try fields.next(orThrow: Self.malformed) {
                guard let content = field.content else { continue }
                if field.number == 1 { signature.inputs += try Self.entries(content) }
                if field.number == 2 { signature.outputs += try Self.entries(content) }
            }
        }
        if name == Self.initKey {
            // The library takes it for granted that there is one.
            guard signature.outputs.contains(where: { $0.key == Self.initKey }) else { throw Self.malformed }
            initOperations += signature.outputs.compactMap(\.tensor)
        }
        signatures.append(signature)
    }

    /// An entry of a signature's map: once for each time that a tensor is named in it.
    private static func entries(_ bytes: UnsafeRawBufferPointer) throws(InferenceError) -> [Signature.Entry] {
        let (key, values) = try mapEntry(bytes)
        var entries: [Signature.Entry] = []
        for value in values {
            var fields = WireReader(value)
            while let field = try fields.next(orThrow: malformed) {
                if field.number == 1, let content = field.content {
                    entries.append(Signature.Entry(key: key, tensor: WireText(content)))
                }
            }
        }
        return entries.isEmpty ? [Signature.Entry(key: key, tensor: nil)] : entries
    }

    private static func asset(_ bytes: UnsafeRawBufferPointer) throws(InferenceError) -> Asset {
        var asset = Asset()
        var fields = WireReader(bytes)
        while let field = try fields.next(orThrow: malformed) {
            guard let content = field.content else { continue }
            if field.number == 2 { asset.fileNames.append(WireText(content)) }
            guard field.number == 1 else { continue }
            var info = WireReader(content)
            while let field = try info.next(orThrow: malformed) {
                if field.number == 1, let name = field.content { asset.tensor = WireText(name) }
                if field.number == 4 || field.number == 5 { asset.isPlainTensor = false }
            }
        }
        return asset
    }

    /// The key of an entry, and every value that stands in it.
    private static func mapEntry(
        _ bytes: UnsafeRawBufferPointer
    ) throws(InferenceError) -> (key: WireText, values: [UnsafeRawBufferPointer]) {
        var key = WireText(.init(start: nil, count: 0))
        var values: [UnsafeRawBufferPointer] = []
        var fields = WireReader(bytes)
        while let field = try fields.next(orThrow: malformed) {
            guard let content = field.content else { continue }
            if field.number == 1 { key = WireText(content) }
            if field.number == 2 { values.append(content) }
        }
        return (key, values)
    }
}
