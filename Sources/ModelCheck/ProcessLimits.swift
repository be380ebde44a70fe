internal import Glibc

/// What the process may use before the system ends it.
enum ProcessLimits {
    /// Address space for the engine itself.
    private static let baseMemory = 4 << 30
    /// Address space per byte of the model: the file, its parsed form, weights, and what is computed from them.
    private static let memoryPerModelByte = 16

    /// - Parameter limitsMemory: not for a GPU: its driver takes address space by the terabyte.
    static func apply(timeout milliseconds: Int, modelBytes: Int, limitsMemory: Bool) {
        let memory = modelBytes.multipliedReportingOverflow(by: memoryPerModelByte)
        if limitsMemory, !memory.overflow { set(RLIMIT_AS, to: memory.partialValue + baseMemory) }
        // A crash is an answer, not a file on the disk.
        set(RLIMIT_CORE, to: 0)
        // Ends the process, whatever it is doing.
        alarm(UInt32(clamping: (milliseconds + 999) / 1_000))
    }

    private static func set(_ resource: __rlimit_resource, to value: Int) {
        var limit = rlimit(rlim_cur: rlim_t(value), rlim_max: rlim_t(value))
        setrlimit(__rlimit_resource_t(resource.rawValue), &limit)
    }
}
