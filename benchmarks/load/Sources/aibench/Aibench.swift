import ArgumentParser
import Glibc
import LoadGenerator

@main
struct Aibench: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Sends inference requests to serving systems and measures what becomes of them.",
        subcommands: [Run.self])
}

struct Run: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run a plan.",
        discussion: """
            The plan is a JSON file; benchmarks/load/README.md describes it and the result. Exit codes: 0 for a \
            result, 1 when no request was answered (the result tells the errors), 65 for a plan that is wrong, 69 for \
            targets or processes that are not there, 74 for a result that cannot be written.
            """)

    @Argument(help: "The plan.", completion: .file(extensions: ["json"]))
    var plan: String

    @Option(help: "Where the result goes.", completion: .file(extensions: ["json"]))
    var output: String

    @Flag(help: "Say nothing while it runs.")
    var quiet = false

    func run() throws {
        // A server that closes its connection is an error to count, not a signal.
        signal(SIGPIPE, SIG_IGN)
        do {
            let plan = try Plan(contentsOf: plan)
            let progress = Progress(plan, isSilent: quiet)
            let result = try LoadRun(plan).run { second in progress.show(second) }
            try result.write(to: output)
            progress.show(result)
            guard result.completed > 0 else {
                fail("no request was answered without an error: \(errors(of: result))", EXIT_FAILURE)
            }
        } catch let error as PlanError {
            fail("\(error)", EX_DATAERR)
        } catch RunError.unreachable(let text) {
            fail(text, EX_UNAVAILABLE)
        } catch RunError.system(let text) {
            fail(text, EX_IOERR)
        }
    }

    private func errors(of result: LoadResult) -> String {
        guard !result.errors.isEmpty else { return "none came back in time" }
        return result.errors.sorted { $0.value > $1.value }.prefix(3).map { "\($0.key) (\($0.value))" }
            .joined(separator: "; ")
    }

    private func fail(_ text: String, _ code: Int32) -> Never {
        standardError("aibench: \(text)\n")
        Self.exit(withError: ExitCode(code))
    }
}

func standardError(_ text: String) {
    var text = text
    text.withUTF8 { _ = write(STDERR_FILENO, $0.baseAddress, $0.count) }
}
