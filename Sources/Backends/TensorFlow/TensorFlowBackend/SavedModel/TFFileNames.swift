internal import Inference

/// Which inputs of nodes are file names that the library gives: in a graph, or in a function that is called with some.
struct TFFileNames {
    private let nodes: [TFNode]
    private let indices: [WireText: [Int]]
    private let given: Set<WireText>
    /// Whether what a variable holds counts as such a name.
    private let mayReadVariables: Bool

    /// Copies that are followed.
    private static let copyLimit = 16
    private static let copies: Set<String> = ["Identity", "PlaceholderWithDefault"]

    /// - Parameter sources: the nodes of a graph whose first outputs the library replaces by file names.
    init(_ nodes: [TFNode], _ indices: [WireText: [Int]], sources: Set<WireText>, mayReadVariables: Bool) {
        self.nodes = nodes
        self.indices = indices
        given = sources
        self.mayReadVariables = mayReadVariables
    }

    /// - Parameter trusted: the arguments of a function that are file names in one of its calls, by position.
    init(_ function: TFFunction, trusted: Set<Int>, mayReadVariables: Bool) {
        let indices = Dictionary(grouping: function.nodes.indices) { function.nodes[$0].name }
        let positions = Dictionary(grouping: function.arguments.indices) { function.arguments[$0] }
        // A name that stands for several things is none to rely on.
        let given = positions.filter { name, positions in
            positions.count == 1 && trusted.contains(positions[0]) && indices[name] == nil
        }
        self.init(
            function.nodes, indices, sources: Set(given.keys), mayReadVariables: mayReadVariables)
    }

    func contains(_ input: TFNodeInput) -> Bool {
        var input = input
        for _ in 0..<Self.copyLimit {
            guard !input.isControl else { return false }
            if input.isFirstOutput, given.contains(input.node) { return true }
            guard let indices = indices[input.node], indices.count == 1 else { return false }
            let node = nodes[indices[0]]
            if mayReadVariables, node.operation == "ReadVariableOp" { return true }
            guard Self.copies.contains(node.operation.string), let source = node.inputs.first else { return false }
            input = source
        }
        return false
    }
}
