import Glibc
import LoadGenerator

/// Shows how a run goes on standard error: on a terminal in one line that changes, otherwise in a line per second.
struct Progress {
    private let label: String
    private let seconds: Double
    private let isSilent: Bool
    private let isTerminal = isatty(STDERR_FILENO) == 1

    init(_ plan: Plan, isSilent: Bool) {
        label = plan.label
        seconds = plan.seconds
        self.isSilent = isSilent
    }

    func show(_ second: LoadRun.Second) {
        guard !isSilent else { return }
        var text = "\(label)  \(second.index + 1)/\(rounded(seconds)) s  \(second.answered)/s"
        if let p50 = second.p50Microseconds, let p99 = second.p99Microseconds {
            text += "  p50 \(rounded(p50))  p99 \(rounded(p99)) µs"
        }
        if let cpu = second.cpuMicrosecondsPerInference { text += "  CPU \(rounded(cpu)) µs" }
        if second.errors > 0 { text += "  \(second.errors) errors" }
        write(text, isLast: false)
    }

    func show(_ result: LoadResult) {
        guard !isSilent else { return }
        var text = "\(label)  \(rounded(result.throughput)) inferences/s"
        if let latency = result.latency {
            text += "  p50 \(rounded(latency.p50))  p99 \(rounded(latency.p99))  max \(rounded(latency.max)) µs"
        }
        if let cpu = result.serverCPU { text += "  CPU \(rounded(cpu)) µs" }
        let errors = result.errors.values.reduce(0, +)
        if errors > 0 { text += "  \(errors) errors" }
        write(text, isLast: true)
    }

    private func write(_ text: String, isLast: Bool) {
        let clearLine = "\r\u{1B}[K"
        standardError(isTerminal ? clearLine + text + (isLast ? "\n" : "") : text + "\n")
    }

    /// Three digits, as far as they are after the point.
    private func rounded(_ value: Double) -> String {
        if value >= 100 { return String(Int(value.rounded())) }
        let tenths = Int((value * 10).rounded())
        return tenths % 10 == 0 ? "\(tenths / 10)" : "\(tenths / 10).\(tenths % 10)"
    }
}
