internal import Glibc
public import Inference

extension EngineSettings {
    /// Bytes that an engine may use when no limit is configured, three quarters of the machine's memory: a model that asks
    /// for more gets an error instead of the server getting killed.
    public static var machineMemoryLimit: Int {
        sysconf(Int32(_SC_PHYS_PAGES)) * sysconf(Int32(_SC_PAGESIZE)) / 4 * 3
    }
}
