internal import Inference

/// Which operations a client's graph may hold.
///
/// A graph is a program. Most operations only compute; the ones listed here reach out of the computation. The list was
/// made by going through every operation of the library; a test compares it with the library's operations, so that a
/// new version of the library makes somebody look at what is new.
enum TFOperationPolicy {
    /// Why operations are refused.
    enum Reason: CaseIterable {
        /// Reads or writes files that the graph names, or the server's output.
        case files
        /// Talks to other machines, devices or processes.
        case network
        /// Runs code of another kind than operations, or ends the process.
        case code
        /// Made by the library while it prepares a graph, and trusted by it to be well-formed.
        case internals
        /// Makes threads of its own, or waits in a way that nothing can stop.
        case threads
    }

    private struct Rules {
        var names: Set<String> = []
        var prefixes: [String] = []
        /// Parts of names that stand for a whole family.
        var parts: [String] = []
    }

    private static let rules: [(reason: Reason, rules: Rules)] = [
        (.files, files), (.network, network), (.code, code), (.internals, internals), (.threads, threads),
    ]

    /// Pipelines of tf.data (`Dataset`, `Iterator`) and queue readers end in files of many kinds. Several of the others
    /// take the name of a file as attribute.
    private static let files = Rules(
        names: [
            "ReadFile", "MatchingFiles", "ImmutableConst", "FileSystemSetConfiguration", "Save", "SaveSlices", "SaveV2",
            "Restore", "RestoreSlice", "RestoreV2", "MergeV2Checkpoints", "DistributedSave", "LoadAndRemapMatrix",
            "GenerateVocabRemapping", "InitializeTableFromTextFile", "InitializeTableFromTextFileV2",
            "FixedUnigramCandidateSampler", "Skipgram", "RecordInput", "DecodeProtoV2", "EncodeProto", "DumpTensor",
            "CalibrationStatisticsSaver", "StoreMinibatchStatisticsInFdo", "ImportEvent", "Print", "PrintV2", "Copy",
            "CopyHost", "GetOptions", "DatasetToTFRecord", "DummyMemoryCache", "AnonymousMemoryCache",
            "DeleteMemoryCache",
        ],
        prefixes: ["Write", "Debug", "CreateSummary", "StatsAggregator"],
        parts: ["Dataset", "Iterator", "Reader", "SummaryWriter", "StatsAggregator"])

    private static let network = Rules(
        names: [
            "Send", "Recv", "RemoteCall", "WorkerHeartbeat", "SyncDevice", "GetTpuTaskId", "GetSessionHandle",
            "GetSessionHandleV2", "GetSessionTensor", "DeleteSessionTensor",
        ],
        prefixes: ["Collective", "DTensor", "CopyToMesh", "Nccl", "RemoteFusedGraph"],
        parts: ["Rpc", "TPU", "Tpu", "Infeed", "Outfeed", "Prelinearize", "SparseCore", "Minibatch"])

    private static let code = Rules(
        names: [
            "PyFunc", "PyFuncStateless", "EagerPyFunc", "MlirPassthroughOp", "Abort", "ConvertToCooTensor",
            "GlobalIterId", "UpdateTaskIdAndGlobalCoreArray",
        ],
        prefixes: ["Xla"])

    private static let internals = Rules(prefixes: ["_"])

    private static let threads = Rules(
        names: [
            "Batch", "BatchFunction", "Unbatch", "UnbatchGrad", "Stage", "Unstage", "StagePeek", "StageSize",
            "StageClear", "MapStage", "MapUnstage", "MapUnstageNoKey", "MapPeek", "MapSize", "MapIncompleteSize",
            "MapClear", "MutexV2", "MutexLock", "ConsumeMutexLock",
        ],
        prefixes: ["OrderedMap"],
        parts: ["ThreadPool"])

    /// Why the operation is refused; nil for one that only computes.
    static func reason(against operation: String) -> Reason? {
        rules.first { _, rules in
            rules.names.contains(operation) || rules.prefixes.contains { operation.hasPrefix($0) }
                || rules.parts.contains { operation.contains($0) }
        }?.reason
    }

    // MARK: SavedModels

    /// What the library itself runs while it loads a SavedModel, and the input of it that names the file.
    static let restoring = (operation: "RestoreV2", fileInput: 0)
    static let fillingTable = (operation: "InitializeTableFromTextFileV2", fileInput: 1)

    /// Refused operations that every SavedModel brings along to be saved and restored. They may stand in its graph, where
    /// no run reaches them.
    static let partsOfSaver: Set<String> = [
        restoring.operation, fillingTable.operation, "SaveV2", "MergeV2Checkpoints",
    ]
}

extension InferenceError {
    /// Names come from the client: no more of them than fits a line.
    static func forbiddenOperation(_ operation: String, node: String) -> InferenceError {
        InferenceError(
            "ERR TF graph holds the operation \(operation.prefix(200)) (node \(node.prefix(200))), which is not allowed"
        )
    }
}
