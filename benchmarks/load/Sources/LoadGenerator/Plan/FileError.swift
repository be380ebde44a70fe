import FoundationEssentials
import Glibc

/// What people read of an error from reading or writing a file.
enum FileError {
    static func reason(of error: any Error) -> String {
        guard let cause = (error as? CocoaError)?.underlying as? POSIXError else { return "\(error)" }
        return String(cString: strerror(cause.code.rawValue))
    }
}
