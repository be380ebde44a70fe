internal import Glibc
public import Inference

/// An engine's shared library, opened for the life of the process: its threads and statics outlive every use.
public struct SharedLibrary: @unchecked Sendable {
    private let path: String
    private let handle: UnsafeMutableRawPointer

    /// Opens the library at `path`. Its symbols stay its own: engines carry clashing copies of common libraries.
    ///
    /// - Throws: the dynamic loader's text.
    public init(path: String) throws(InferenceError) {
        // Even one that is not what was looked for stays in memory: what it has registered to run when the process ends
        // must still be there.
        guard let handle = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE) else {
            throw InferenceError(dlerror().map { String(cString: $0) } ?? "\(path) cannot be opened")
        }
        self.path = path
        self.handle = handle
    }

    /// The address of an exported symbol; nil when the library does not have it.
    public func address(_ name: String) -> UnsafeMutableRawPointer? {
        dlsym(handle, name)
    }

    /// An exported function as a C function pointer of the given type.
    public func function<Function>(_ name: String, as type: Function.Type) throws(InferenceError) -> Function {
        guard let address = dlsym(handle, name) else { throw InferenceError("\(path) has no \(name)") }
        return unsafeBitCast(address, to: type)
    }

    /// Forgets the library, when it turns out not to be what was looked for. To be called before its first use.
    public func close() {
        dlclose(handle)
    }
}
