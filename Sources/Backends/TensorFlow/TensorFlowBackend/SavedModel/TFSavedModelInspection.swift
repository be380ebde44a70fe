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
        try model.graph.checkOperations(except: TFOperationPolicy.partsOfSaver)
        try checkAssets()
        try checkRuns(fetches)
        let restoring = TFNodeInput(model.restoreFile)
        let restored = try check(
            model.restoreOperations,
            Allowance(
                operation: TFOperationPolicy.restoring.operation, input: TFOperationPolicy.restoring.fileInput,
                sources: restoring.isFirstOutput ? [restoring.node] : []))
        let initialised = try check(
            model.initOperations,
            Allowance(
                operation: TFOperationPolicy.fillingTable.operation, input: TFOperationPolicy.fillingTable.fileInput,
                sources: Set(model.assets.map { TFNodeInput($0.tensor).node }), mayReadVariables: true))
        // Newer exports keep the names of assets in variables. Those can be relied on when no other string is put in any.
        if let reader = initialised.fileFromVariable, restored.writesOtherStrings || initialised.writesOtherStrings {
            throw .forbiddenOperation(TFOperationPolicy.fillingTable.operation, node: reader.string)
        }
    }

    private func checkAssets() throws(InferenceError) {
        for asset in model.assets {
            guard asset.isPlainTensor, TFNodeInput(asset.tensor).isFirstOutput,
                asset.fileNames.allSatisfy({ ArchivePath($0.bytes)?.isEmpty == false })
            else { throw InferenceError("ERR SavedModel: an asset has no proper file name") }
        }
    }

    private func checkRuns(_ fetches: [String]) throws(InferenceError) {
        let text = UnsafeMutableRawBufferPointer.allocate(
            byteCount: fetches.reduce(0) { $0 + $1.utf8.count }, alignment: 1)
        defer { text.deallocate() }
        text.copyBytes(from: fetches.joined().utf8)
        var position = 0
        var roots: [WireText] = []
        for fetch in fetches {
            let end = position + fetch.utf8.count
            roots.append(WireText(UnsafeRawBufferPointer(rebasing: text[position..<end])))
            position = end
        }
        _ = try check(roots, Allowance())
    }

    /// The one part of the saver that may be reached, if its input comes from where it should.
    private struct Allowance {
        var operation: String?
        var input = 0
        /// Nodes of the graph that the library feeds with file names.
        var sources: Set<WireText> = []
        /// Whether a file name may have been kept in a variable.
        var mayReadVariables = false
    }

    /// What happens when some nodes run.
    private struct Findings {
        /// A node that takes a file name which may come from a variable.
        var fileFromVariable: WireText?
        /// Whether a variable gets a string that is not a file name given by the library.
        var writesOtherStrings = false
    }

    private func check(_ roots: [WireText], _ allowance: Allowance) throws(InferenceError) -> Findings {
        var walk = Walk(inspection: self, allowance: allowance)
        for root in roots { walk.enterNode(TFNodeInput(root).node) }
        return try walk.finish()
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
        private var findings = Findings()
        /// Calls that are looked at before a graph counts as too tangled.
        private static let callLimit = 200_000

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

        mutating func finish() throws(InferenceError) -> Findings {
            let names = TFFileNames(
                graph.nodes, inspection.nodes, sources: allowance.sources,
                mayReadVariables: allowance.mayReadVariables)
            while let index = waitingNodes.popLast() {
                let node = graph.nodes[index]
                try visit(node, names)
                for input in node.inputs { enterNode(input.node) }
            }
            while let call = waitingCalls.popLast() { try visit(call) }
            return findings
        }

        private mutating func visit(_ call: Call) throws(InferenceError) {
            let function = graph.functions[call.function]
            try enterRelatives(of: function)
            let names = TFFileNames(function, trusted: call.trusted, mayReadVariables: allowance.mayReadVariables)
            // All of the body: operations with side effects run whether or not an output needs them.
            for node in function.nodes { try visit(node, names) }
        }

        private mutating func visit(_ node: TFNode, _ names: TFFileNames) throws(InferenceError) {
            let operation = node.operation.string
            if TFOperationPolicy.partsOfSaver.contains(operation) {
                guard operation == allowance.operation, node.inputs.count > allowance.input,
                    names.contains(node.inputs[allowance.input])
                else { throw .forbiddenOperation(operation, node: node.name.string) }
                // Where the name was followed from is not kept: it counts as read from a variable.
                if allowance.mayReadVariables { findings.fileFromVariable = node.name }
            }
            if node.mayHoldStrings, Self.isWriter(operation) {
                let isFileName =
                    operation == "AssignVariableOp" && node.inputs.count > 1 && names.contains(node.inputs[1])
                if !isFileName { findings.writesOtherStrings = true }
            }
            try enterFunctions(of: node, operation, names)
        }

        /// Whether the operation changes a variable.
        private static func isWriter(_ operation: String) -> Bool {
            operation.hasPrefix("Assign") || operation.contains("Scatter") || operation.contains("StridedSliceAssign")
                || operation.hasPrefix("Resource") && !operation.hasPrefix("ResourceGather")
        }

        private mutating func enterFunctions(
            of node: TFNode, _ operation: String, _ names: TFFileNames
        ) throws(InferenceError) {
            let isCall = operation == "PartitionedCall" || operation == "StatefulPartitionedCall"
            let callees = inspection.functions[node.operation] ?? []
            guard isCall || !callees.isEmpty || !node.references.isEmpty else { return }
            let trusted = Set(node.inputs.indices.filter { names.contains(node.inputs[$0]) })
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
