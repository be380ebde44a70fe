internal import BackendSupport
internal import Inference

/// Finds out what a SavedModel's graph could do when it is loaded and run.
///
/// Every SavedModel carries operations that read and write files, to be restored and saved. They may stand in the graph,
/// on three conditions: no run reaches them; restoring reads only the file that the library names; and initialising
/// fills tables only from files of the SavedModel.
struct TFSavedModelInspection {
    private let model: TFSavedModel
    private let nodes: [WireText: [Int]]
    private let functions: [WireText: [Int]]
    private let gradients: [WireText: [WireText]]
    /// Functions that the library may put in the place of others.
    private let standIns: [Int]

    init(_ model: TFSavedModel) {
        self.model = model
        let graph = model.graph
        // The library may take any of several that have the same name: all are looked at.
        nodes = Dictionary(grouping: graph.nodes.indices) { graph.nodes[$0].name }
        functions = Dictionary(grouping: graph.functions.indices) { graph.functions[$0].name }
        gradients = Dictionary(grouping: graph.gradients, by: \.function).mapValues { $0.map(\.gradient) }
        standIns = graph.functions.indices.filter { graph.functions[$0].isStandIn }
    }

    /// Throws for a SavedModel that is refused.
    ///
    /// - Parameter fetches: the nodes whose outputs runs will ask for.
    func check(fetches: [String]) throws(InferenceError) {
        try model.graph.forEachNode { node throws(InferenceError) in
            let operation = node.operation.string
            guard TFOperationPolicy.reason(against: operation) != nil,
                !TFOperationPolicy.partsOfSaver.contains(operation)
            else { return }
            throw .forbiddenOperation(operation, node: node.name.string)
        }
        try checkAssets()
        try checkRuns(fetches)
        let restoring = TFNodeInput(model.restoreFile)
        try check(
            model.restoreOperations,
            Allowance(
                operation: TFOperationPolicy.restoring.operation, input: TFOperationPolicy.restoring.fileInput,
                sources: restoring.isFirstOutput ? [restoring.node] : []))
        try check(
            model.initOperations,
            Allowance(
                operation: TFOperationPolicy.fillingTable.operation, input: TFOperationPolicy.fillingTable.fileInput,
                sources: Set(model.assets.map { TFNodeInput($0.tensor).node })))
    }

    private func checkAssets() throws(InferenceError) {
        for asset in model.assets {
            guard asset.isPlainTensor, TFNodeInput(asset.tensor).isFirstOutput,
                asset.fileNames.allSatisfy({ ArchivePath($0.bytes)?.isEmpty == false })
            else { throw InferenceError("ERR SavedModel: an asset has no proper file name") }
        }
    }

    private func checkRuns(_ fetches: [String]) throws(InferenceError) {
        for fetch in fetches {
            var name = fetch
            let error = name.withUTF8 { bytes in
                Result { () throws(InferenceError) in
                    try check([WireText(UnsafeRawBufferPointer(bytes))], Allowance())
                }
            }
            try error.get()
        }
    }

    /// The one part of the saver that may be reached, if its input comes from where it should.
    private struct Allowance {
        var operation: String?
        var input = 0
        /// Nodes of the graph that the library feeds with file names.
        var sources: Set<WireText> = []
    }

    private func check(_ roots: [WireText], _ allowance: Allowance) throws(InferenceError) {
        var walk = Walk(inspection: self, allowance: allowance)
        for root in roots { walk.enterNode(TFNodeInput(root).node) }
        try walk.finish()
    }
}

// MARK: Reachability

extension TFSavedModelInspection {
    /// Everything that runs when some nodes of the graph do.
    private struct Walk {
        let inspection: TFSavedModelInspection
        let allowance: Allowance
        private var seenNodes: Set<Int> = []
        private var waitingNodes: [Int] = []
        private var seenCalls: Set<Call> = []
        private var waitingCalls: [Call] = []
        private var hasEnteredStandIns = false
        /// Calls that are looked at before a graph counts as too tangled.
        private static let callLimit = 200_000
        /// Copies of a file name that are followed.
        private static let copyLimit = 16
        private static let copies: Set<String> = ["Identity", "PlaceholderWithDefault"]

        /// A function with those of its arguments that are the library's file names.
        private struct Call: Hashable {
            let function: Int
            let trusted: Set<Int>
        }

        init(inspection: TFSavedModelInspection, allowance: Allowance) {
            self.inspection = inspection
            self.allowance = allowance
        }

        private var graph: TFGraphReader { inspection.model.graph }

        mutating func enterNode(_ name: WireText) {
            for index in inspection.nodes[name] ?? [] where seenNodes.insert(index).inserted {
                waitingNodes.append(index)
            }
        }

        mutating func finish() throws(InferenceError) {
            while let index = waitingNodes.popLast() {
                let node = graph.nodes[index]
                try visit(node, isTrusted: isSource)
                for input in node.inputs { enterNode(input.node) }
            }
            while let call = waitingCalls.popLast() { try visit(call) }
        }

        private mutating func visit(_ call: Call) throws(InferenceError) {
            let function = graph.functions[call.function]
            try enterRelatives(of: function)
            let bodyNames = Dictionary(grouping: function.nodes.indices) { function.nodes[$0].name }
            let arguments = Dictionary(
                function.arguments.enumerated().map { ($0.element, $0.offset) }, uniquingKeysWith: { _, _ in -1 })
            func isTrusted(_ input: TFNodeInput, _ depth: Int) -> Bool {
                guard !input.isControl, depth < Self.copyLimit else { return false }
                if let indices = bodyNames[input.node] {
                    return Self.onlyInput(ofCopyIn: function.nodes, indices).map { isTrusted($0, depth + 1) } == true
                }
                return input.isFirstOutput && arguments[input.node].map { call.trusted.contains($0) } == true
            }
            // All of the body: operations with side effects run whether or not an output needs them.
            for node in function.nodes { try visit(node) { isTrusted($0, 0) } }
        }

        /// Whether a node's input is a file name that the library feeds.
        private func isSource(_ input: TFNodeInput) -> Bool { isSource(input, depth: 0) }

        private func isSource(_ input: TFNodeInput, depth: Int) -> Bool {
            guard !input.isControl, input.isFirstOutput, depth < Self.copyLimit else { return false }
            if allowance.sources.contains(input.node) { return true }
            guard let indices = inspection.nodes[input.node] else { return false }
            return Self.onlyInput(ofCopyIn: graph.nodes, indices).map { isSource($0, depth: depth + 1) } == true
        }

        /// What a node copies, if it is the only one of its name and does nothing but copy.
        private static func onlyInput(ofCopyIn nodes: [TFNode], _ indices: [Int]) -> TFNodeInput? {
            guard indices.count == 1, copies.contains(nodes[indices[0]].operation.string) else { return nil }
            return nodes[indices[0]].inputs.first
        }

        private mutating func visit(_ node: TFNode, isTrusted: (TFNodeInput) -> Bool) throws(InferenceError) {
            let operation = node.operation.string
            if TFOperationPolicy.partsOfSaver.contains(operation) {
                guard operation == allowance.operation, node.inputs.count > allowance.input,
                    isTrusted(node.inputs[allowance.input])
                else { throw .forbiddenOperation(operation, node: node.name.string) }
            }
            try enterFunctions(of: node, operation, isTrusted)
        }

        private mutating func enterFunctions(
            of node: TFNode, _ operation: String, _ isTrusted: (TFNodeInput) -> Bool
        ) throws(InferenceError) {
            let isCall = operation == "PartitionedCall" || operation == "StatefulPartitionedCall"
            let callees = inspection.functions[node.operation] ?? []
            guard isCall || !callees.isEmpty || !node.references.isEmpty else { return }
            let trusted = Set(node.inputs.indices.filter { isTrusted(node.inputs[$0]) })
            for callee in callees { try enter(callee, trusted) }
            for reference in node.references {
                let passesInputs = isCall && reference.isFunction && reference.attribute == "f"
                // A text is taken for the name of a function wherever there is one.
                try enterFunction(reference.name, passesInputs ? trusted : [])
            }
        }

        private mutating func enterFunction(_ name: WireText, _ trusted: Set<Int>) throws(InferenceError) {
            for function in inspection.functions[name] ?? [] { try enter(function, trusted) }
        }

        private mutating func enter(_ index: Int, _ trusted: Set<Int>) throws(InferenceError) {
            let function = graph.functions[index]
            let call = Call(function: index, trusted: function.hasPlainArguments ? trusted : [])
            guard seenCalls.insert(call).inserted else { return }
            guard seenCalls.count <= Self.callLimit else {
                throw InferenceError("ERR SavedModel: the functions of the graph are too tangled")
            }
            waitingCalls.append(call)
        }

        /// Functions that may run instead of a function, or because of it.
        private mutating func enterRelatives(of function: TFFunction) throws(InferenceError) {
            for gradient in inspection.gradients[function.name] ?? [] { try enterFunction(gradient, []) }
            guard function.isStandIn, !hasEnteredStandIns else { return }
            hasEnteredStandIns = true
            for standIn in inspection.standIns { try enter(standIn, []) }
        }
    }
}
