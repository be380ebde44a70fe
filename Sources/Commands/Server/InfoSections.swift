internal import Glibc
internal import Inference
internal import RedisModuleKit
internal import Tensors

/// The module's sections of the server's INFO. The first three have exactly the fields of RedisAI 1.x, which monitoring
/// relies on; what is new has sections of its own at the end.
struct InfoSections {
    let version: String
    let gitSHA: String
    private let engine = InferenceEngine.shared

    func write(to info: InfoWriter) {
        if info.section("versions") {
            info.field("RedisAI_version", version)
            info.field("low_level_API_version", 1)
            info.field("rdb_version", 4)
        }
        if info.section("git") { info.field("git_sha", gitSHA) }
        if info.section("load_time_configs") { writeConfiguration(to: info) }
        guard !info.isCrashReport else { return }
        if info.section("backends_info") { writeBackends(to: info) }
        if info.section("cpu") { writeProcessorTimes(to: info) }
        if info.section("models") { writeModels(to: info) }
        if info.section("queues") { writeQueues(to: info) }
        if info.section("broken") { writeBroken(to: info) }
        if info.section("memory") { writeMemory(to: info) }
    }

    private static let brokenLimit = 32

    /// What is broken, and why: `broken_<n>:key=<key>,type=<type>,backend=<engine>,reason=<text>`, without white space.
    private func writeBroken(to info: InfoWriter) {
        for (index, (entry, error)) in engine.directory.broken(limit: Self.brokenLimit).enumerated() {
            let identity = entry.identity
            info.field(
                "broken_\(index + 1)",
                "key=\(identity.readableKey),type=\(identity.kind.rawValue),backend=\(identity.backend.name),"
                    + "reason=\(Self.word(error.message))")
        }
    }

    /// A text as one word that does not end a line or begin a comment.
    private static func word(_ text: String) -> String {
        String(
            decoding: text.utf8.prefix(512).map { byte in byte <= 0x20 || byte == 0x23 ? UInt8(ascii: "_") : byte },
            as: UTF8.self)
    }

    private func writeConfiguration(to info: InfoWriter) {
        for option in [
            Options.threadsPerQueue, Options.interOpParallelism, Options.intraOpParallelism,
            Options.modelExecutionTimeout, Options.backendMemoryLimit,
        ] {
            info.field(option.name.lowercased(), option.value)
        }
    }

    private func writeBackends(to info: InfoWriter) {
        for description in engine.registry.descriptions {
            guard let backend = engine.registry.loadedBackend(description) else { continue }
            for (name, value) in backend.info(workers: engine.workerCount) { info.field(name, value) }
        }
    }

    private func writeProcessorTimes(to info: InfoWriter) {
        writeUsage("self_used_cpu", of: RUSAGE_SELF.rawValue, to: info)
        writeUsage("children_used_cpu", of: RUSAGE_CHILDREN.rawValue, to: info)
        // RUSAGE_THREAD: INFO is written by the main thread.
        writeUsage("main_thread_used_cpu", of: 1, to: info)
        for queue in engine.queueStatus {
            for (index, time) in queue.processorTimes.enumerated() {
                let value = time.map { Self.seconds($0 / 1_000_000_000, $0 / 1_000 % 1_000_000) } ?? "N/A"
                info.field("queue_\(queue.name)_bthread_n\(index + 1)_used_cpu_total", value)
            }
        }
    }

    private func writeUsage(_ name: String, of who: Int32, to info: InfoWriter) {
        var usage = rusage()
        let isKnown = getrusage(__rusage_who_t(who), &usage) == 0
        let system = Self.seconds(usage.ru_stime.tv_sec, usage.ru_stime.tv_usec)
        let user = Self.seconds(usage.ru_utime.tv_sec, usage.ru_utime.tv_usec)
        info.field("\(name)_sys", isKnown ? system : "N/A")
        info.field("\(name)_user", isKnown ? user : "N/A")
    }

    /// Seconds with six decimals.
    private static func seconds(_ seconds: Int, _ microseconds: Int) -> String {
        let fraction = String(microseconds)
        return "\(seconds)." + String(repeating: "0", count: max(0, 6 - fraction.utf8.count)) + fraction
    }

    private func writeModels(to info: InfoWriter) {
        for (kind, name) in [(ArtifactIdentity.Kind.model, "models"), (.script, "scripts")] {
            let counts = engine.directory.phaseCounts(of: kind)
            info.field("\(name)_ready", counts.ready)
            info.field("\(name)_loading", counts.loading)
            info.field("\(name)_broken", counts.broken)
        }
        info.field("pending_loads", engine.pendingLoads)
    }

    private func writeMemory(to info: InfoWriter) {
        info.field("memory_tensors", tensorBytesInUse)
        info.field("memory_models", EngineMemory.contentBytes)
        for description in engine.registry.descriptions {
            guard let backend = engine.registry.loadedBackend(description) else { continue }
            info.field("memory_\(description.name)_models", EngineMemory.bytes(of: description.name))
            if let bytes = backend.memoryInUse { info.field("memory_\(description.name)_allocated", bytes) }
        }
    }

    private func writeQueues(to info: InfoWriter) {
        for queue in engine.queueStatus {
            let prefix = "queue_\(queue.name)"
            info.field("\(prefix)_waiting_requests", queue.waitingRequests)
            info.field("\(prefix)_waiting_bytes", queue.waitingBytes)
            info.field("\(prefix)_refused_requests", queue.counters.refused)
            info.field("\(prefix)_timed_out_requests", queue.counters.timedOut)
            info.field("\(prefix)_cancelled_requests", queue.counters.cancelled)
            info.field("\(prefix)_batches", queue.counters.batches)
            info.field("\(prefix)_batched_requests", queue.counters.batchedRequests)
        }
    }
}
