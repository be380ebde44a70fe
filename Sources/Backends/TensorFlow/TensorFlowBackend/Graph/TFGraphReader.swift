internal import BackendSupport
internal import Inference

/// A reference to another node: `name`, `name:port`, or `^name` for order alone. Inside functions `name:output:index`.
struct TFNodeInput {
    let node: WireText
    let isControl: Bool
    /// Whether the node's first output is meant, written plainly.
    let isFirstOutput: Bool

    init(_ text: WireText) {
        let control = text.dropping(UInt8(ascii: "^"))
        let (head, tail) = (control ?? text).cut(at: UInt8(ascii: ":"))
        node = head
        isControl = control != nil
        isFirstOutput = tail.map { $0 == "0" } ?? true
    }
}

/// A node of a graph or of a function's body.
struct TFNode {
    var name = WireText(UnsafeRawBufferPointer(start: nil, count: 0))
    var operation = WireText(UnsafeRawBufferPointer(start: nil, count: 0))
    var inputs: [TFNodeInput] = []
    /// Names that the attributes hold, of functions or of anything else.
    var references: [Reference] = []
    /// Bytes of the tensors among the attributes.
    var tensorBytes = 0
    /// Whether the node is about strings, or its types are left to the caller of a function.
    var mayHoldStrings = false

    struct Reference {
        let attribute: WireText
        let name: WireText
        /// Whether the attribute is a function, and not a text that could be the name of one.
        let isFunction: Bool
    }
}

/// A function of a graph's library.
struct TFFunction {
    var name = WireText(UnsafeRawBufferPointer(start: nil, count: 0))
    var arguments: [WireText] = []
    /// Whether each argument stands for exactly one input of a call.
    var hasPlainArguments = true
    /// Whether the library may put the function in the place of others.
    var isStandIn = false
    var nodes: [TFNode] = []
}

/// A graph as far as it matters for what it may do. Field numbers are those of graph.proto and its imports.
///
/// A message that stands in the bytes several times is read as the library reads it: as one, with all repeated fields.
struct TFGraphReader {
    private(set) var nodes: [TFNode] = []
    private(set) var functions: [TFFunction] = []
    /// Gradient functions by the functions whose gradients they are.
    private(set) var gradients: [(function: WireText, gradient: WireText)] = []

    static let malformed = InferenceError("Invalid GraphDef")
    /// Strings, and references to them.
    private static let stringTypes: [Int32] = [7, 107]
    /// Depth at which the library's own parser gives up.
    private static let depthLimit = 100

    mutating func read(graph bytes: UnsafeRawBufferPointer) throws(InferenceError) {
        var fields = WireReader(bytes)
        while let field = try fields.next(orThrow: Self.malformed) {
            guard let content = field.content else { continue }
            switch field.number {
            case 1: nodes.append(try Self.node(content))
            case 2: try read(library: content)
            default: break
            }
        }
    }

    /// Throws for an operation that is refused, in the graph or in a function of its library.
    ///
    /// - Parameter exceptions: operations that may stand there nevertheless.
    func checkOperations(except exceptions: Set<String> = []) throws(InferenceError) {
        // A graph has many nodes of few operations.
        var checked: Set<WireText> = []
        try Self.check(nodes, exceptions, &checked)
        for function in functions { try Self.check(function.nodes, exceptions, &checked) }
    }

    private static func check(
        _ nodes: [TFNode], _ exceptions: Set<String>, _ checked: inout Set<WireText>
    ) throws(InferenceError) {
        for node in nodes where checked.insert(node.operation).inserted {
            let operation = node.operation.string
            guard TFOperationPolicy.reason(against: operation) == nil || exceptions.contains(operation) else {
                throw .forbiddenOperation(operation, node: node.name.string)
            }
        }
    }

    // MARK: Library

    private mutating func read(library bytes: UnsafeRawBufferPointer) throws(InferenceError) {
        var fields = WireReader(bytes)
        while let field = try fields.next(orThrow: Self.malformed) {
            guard let content = field.content else { continue }
            switch field.number {
            case 1: functions.append(try Self.function(content))
            case 2: gradients.append(try Self.gradient(content))
            default: break
            }
        }
    }

    private static func gradient(
        _ bytes: UnsafeRawBufferPointer
    ) throws(InferenceError) -> (function: WireText, gradient: WireText) {
        var names = (function: WireText(.init(start: nil, count: 0)), gradient: WireText(.init(start: nil, count: 0)))
        var fields = WireReader(bytes)
        while let field = try fields.next(orThrow: malformed) {
            guard let content = field.content else { continue }
            if field.number == 1 { names.function = WireText(content) }
            if field.number == 2 { names.gradient = WireText(content) }
        }
        return names
    }

    private static func function(_ bytes: UnsafeRawBufferPointer) throws(InferenceError) -> TFFunction {
        var function = TFFunction()
        var fields = WireReader(bytes)
        while let field = try fields.next(orThrow: malformed) {
            guard let content = field.content else { continue }
            switch field.number {
            case 1: try read(signature: content, into: &function)
            case 3: function.nodes.append(try node(content))
            case 5:
                let entry = try mapEntry(content)
                if entry.key == "api_implements" { function.isStandIn = true }
            default: break
            }
        }
        return function
    }

    private static func read(
        signature bytes: UnsafeRawBufferPointer, into function: inout TFFunction
    ) throws(InferenceError) {
        var fields = WireReader(bytes)
        while let field = try fields.next(orThrow: malformed) {
            guard let content = field.content else { continue }
            if field.number == 1 { function.name = WireText(content) }
            if field.number == 2 { try read(argument: content, into: &function) }
        }
    }

    private static func read(
        argument bytes: UnsafeRawBufferPointer, into function: inout TFFunction
    ) throws(InferenceError) {
        var name = WireText(.init(start: nil, count: 0))
        var fields = WireReader(bytes)
        while let field = try fields.next(orThrow: malformed) {
            guard let content = field.content else { continue }
            if field.number == 1 { name = WireText(content) }
            // Lists of a length, or of types, given by an attribute.
            if field.number == 5 || field.number == 6 { function.hasPlainArguments = false }
        }
        function.arguments.append(name)
    }

    // MARK: Nodes

    private static func node(_ bytes: UnsafeRawBufferPointer) throws(InferenceError) -> TFNode {
        var node = TFNode()
        var fields = WireReader(bytes)
        while let field = try fields.next(orThrow: malformed) {
            guard let content = field.content else { continue }
            switch field.number {
            case 1: node.name = WireText(content)
            case 2: node.operation = WireText(content)
            case 3: node.inputs.append(TFNodeInput(WireText(content)))
            case 5: try read(attribute: content, into: &node, within: nil, depth: 0)
            default: break
            }
        }
        return node
    }

    /// An entry of a map from text to message, as it is serialised. Of repeated fields the last one counts.
    static func mapEntry(
        _ bytes: UnsafeRawBufferPointer
    ) throws(InferenceError) -> (key: WireText, value: UnsafeRawBufferPointer) {
        var entry = (key: WireText(.init(start: nil, count: 0)), value: UnsafeRawBufferPointer(start: nil, count: 0))
        var fields = WireReader(bytes)
        while let field = try fields.next(orThrow: malformed) {
            guard let content = field.content else { continue }
            if field.number == 1 { entry.key = WireText(content) }
            if field.number == 2 { entry.value = content }
        }
        return entry
    }

    /// - Parameter outer: the node's own attribute, when this is an attribute of a function reference.
    private static func read(
        attribute bytes: UnsafeRawBufferPointer, into node: inout TFNode, within outer: WireText?, depth: Int
    ) throws(InferenceError) {
        var key = WireText(.init(start: nil, count: 0))
        // The library merges values that stand in an entry several times: all of them are looked at.
        var values: [UnsafeRawBufferPointer] = []
        var fields = WireReader(bytes)
        while let field = try fields.next(orThrow: malformed) {
            guard let content = field.content else { continue }
            if field.number == 1 { key = WireText(content) }
            if field.number == 2 { values.append(content) }
        }
        for value in values { try read(value: value, of: outer ?? key, into: &node, depth: depth + 1) }
    }

    /// An `AttrValue`, or its list: both have the same numbers but for functions.
    private static func read(
        value bytes: UnsafeRawBufferPointer, of attribute: WireText, into node: inout TFNode, isList: Bool = false,
        depth: Int
    ) throws(InferenceError) {
        guard depth < depthLimit else { throw malformed }
        var fields = WireReader(bytes)
        while let field = try fields.next(orThrow: malformed) {
            if field.number == 6, let type = field.enumeration, stringTypes.contains(type) {
                node.mayHoldStrings = true
            }
            guard let content = field.content else { continue }
            switch (field.number, isList) {
            case (2, _):
                node.references.append(
                    TFNode.Reference(attribute: attribute, name: WireText(content), isFunction: false))
            case (8, _): node.tensorBytes += content.count
            case (9, false): node.mayHoldStrings = true
            case (1, false): try read(value: content, of: attribute, into: &node, isList: true, depth: depth + 1)
            case (10, false), (9, true): try read(function: content, of: attribute, into: &node, depth: depth + 1)
            default: break
            }
        }
    }

    private static func read(
        function bytes: UnsafeRawBufferPointer, of attribute: WireText, into node: inout TFNode, depth: Int
    ) throws(InferenceError) {
        guard depth < depthLimit else { throw malformed }
        var fields = WireReader(bytes)
        while let field = try fields.next(orThrow: malformed) {
            guard let content = field.content else { continue }
            if field.number == 1 {
                node.references.append(
                    TFNode.Reference(attribute: attribute, name: WireText(content), isFunction: true))
            }
            if field.number == 2 { try read(attribute: content, into: &node, within: attribute, depth: depth) }
        }
    }
}

// MARK: Frozen graphs

extension TFGraphReader {
    /// Throws for a frozen graph that holds an operation which is refused, anywhere.
    ///
    /// - Returns: the bytes of the graph's constants, and whether the shapes of inputs determine what a run costs.
    static func check(
        frozen bytes: UnsafeRawBufferPointer, allowsUnsafeOperations: Bool
    ) throws(InferenceError) -> (constantBytes: Int, costFollowsFromShapes: Bool) {
        var graph = TFGraphReader()
        try graph.read(graph: bytes)
        if !allowsUnsafeOperations { try graph.checkOperations() }
        return (graph.nodes.reduce(0) { $0 + $1.tensorBytes }, TFRunCost.followsFromShapes(graph))
    }
}
