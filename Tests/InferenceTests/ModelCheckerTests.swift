import Foundation
import TestSupport
import Testing

@testable import Inference

/// Checks of models by a program that the test writes as a shell script.
@Suite(.serialized) struct ModelCheckerTests {
    private static let didNotSurvive = InferenceError(
        "ERR the engine did not survive loading the model, or took longer than 1500 milliseconds")

    /// Has a model checked by a program whose lines are `script`.
    private func check(_ script: String, device: String = "CPU", chunks: [Bytes] = [Bytes([1])]) throws {
        let program = try Script(script)
        try ModelChecker(program: program.path, timeout: 1_500).check(request(device), ModelBlob(chunks))
    }

    private func request(_ device: String = "CPU") -> ModelCheckRequest {
        ModelCheckRequest(
            backend: "FAKE", library: "/engines/fake one.so", device: device, memoryLimit: 4_096, timeout: 1_500)
    }

    @Test func `a usable model passes`() throws {
        try check("printf '+\\0'")
    }

    @Test func `a refused model fails with the program's text`() {
        #expect(throws: InferenceError("no such operator: Frob")) {
            try check("printf -- '-no such operator: Frob\\0'")
        }
    }

    @Test(arguments: [
        "exit 0", "exit 1", "kill -SEGV $$", "kill -KILL $$", "printf '?\\0'", "printf +", "printf -- -cut",
    ])
    func `a program that does not live to answer speaks against the model`(script: String) {
        #expect(throws: Self.didNotSurvive) { try check(script) }
    }

    @Test(arguments: ["printf '+\\0'; exit 1", "printf '+\\0'; kill -SEGV $$"])
    func `what the program said counts, not how it ended`(script: String) throws {
        try check(script)
    }

    @Test func `the program learns what it needs`() {
        #expect(throws: InferenceError("FAKE|/engines/fake one.so|cpu:1|4096|1500|NO|MODEL|0|")) {
            try check(refusing("printf '%s|' \"$@\""), device: "cpu:1")
        }
    }

    @Test func `the model is its standard input, whole`() {
        let chunks = [Bytes("one,".utf8), Bytes([]), Bytes("two".utf8)]
        #expect(throws: InferenceError("one,two")) { try check(refusing("/bin/cat"), chunks: chunks) }
    }

    @Test func `a program that says too much is not listened to for ever`() {
        #expect(throws: InferenceError.self) { try check("while :; do printf 'xxxxxxxxxxxxxxxx'; done") }
    }

    @Test func `a process that holds the other end of the pipe is not waited for`() throws {
        // As a process does that the server forks at the wrong moment.
        let error = try #require(throws: InferenceError.self) { try check("/bin/sleep 60 & printf -- \"-$!\\0\"") }
        let sleeper = try #require(pid_t(error.message))
        #expect(kill(sleeper, SIGKILL) == 0, "the process has already ended")
    }

    @Test func `a large model arrives whole`() {
        let chunks = [Bytes([UInt8](repeating: 0x61, count: 3 << 20)), Bytes([UInt8](repeating: 0x62, count: 1))]
        #expect(throws: InferenceError("3145729")) {
            try check(refusing("printf %s $(/usr/bin/wc -c)"), chunks: chunks)
        }
    }

    @Test func `the program sees no files of ours`() {
        // 0 to 2, and what the shell itself has open: its script and the folder it lists.
        let files = answer(to: "printf '%s;' /proc/self/fd/*").split(separator: ";")
        #expect((3...5).contains(files.count))
    }

    @Test func `the program sees no variables of ours`() throws {
        try #require(getenv("PATH") != nil)
        let variables = answer(to: "/usr/bin/env").split(separator: "\n").map { $0.prefix { $0 != "=" } }
        // What shells set themselves.
        #expect(Set(variables).subtracting(["PWD", "OLDPWD", "SHLVL", "_"]) == [])
    }

    @Test(arguments: ["SigBlk:", "SigIgn:"])
    func `the program sees no signals blocked or ignored`(field: String) throws {
        let text = answer(
            to: """
                while read -r name value; do
                    if [ "$name" = \(field) ]; then printf %s "$value"; fi
                done < /proc/self/status
                """)
        let signals = try #require(UInt64(text, radix: 16))
        // The C library has 32 and 33 for itself.
        #expect(signals & ~0x1_8000_0000 == 0)
    }

    /// A script that refuses every model with what `script` prints.
    private func refusing(_ script: String) -> String {
        "printf -; \(script); printf '\\0'"
    }

    private func answer(to script: String) -> String {
        let error = #expect(throws: InferenceError.self) { try check(refusing(script)) }
        return error?.message ?? ""
    }

    @Test func `a program that is not there is no fault of the model`() throws {
        let checker = ModelChecker(program: "/no/such/program", timeout: 1_000)
        let error = try #require(throws: InferenceError.self) {
            try checker.check(request(), ModelBlob([Bytes([1])]))
        }
        #expect(error.message.hasPrefix("ERR the model could not be tried out: "))
    }

    @Test func `a model that fails the check is broken and never loaded`() throws {
        let program = try Script("printf -- '-unfit\\0'")
        var setup = EngineSetup()
        setup.configuration.modelChecker = ModelChecker(program: program.path, timeout: 1_000)
        try setup.withEngine { fixture in
            let model = try fixture.load()
            #expect(model.phase.error == InferenceError("unfit"))
            #expect(fixture.loads == [])
        }
    }
}

@Suite struct ModelCheckMessageTests {
    @Test func `a request survives the command line`() {
        let request = ModelCheckRequest(
            backend: "ONNX", library: "/a b/c.so", device: "CPU:1", memoryLimit: 1 << 40, timeout: 60_000,
            allowsUnsafeOperations: true, kind: .script, inputNames: ["a", "", "b c"], outputNames: ["1"])
        #expect(ModelCheckRequest(arguments: request.arguments) == request)
    }

    @Test func `the last arguments may be left out`() {
        let request = ModelCheckRequest(arguments: ["ONNX", "l", "CPU", "0", "1"])
        #expect(request == ModelCheckRequest(backend: "ONNX", library: "l", device: "CPU", memoryLimit: 0, timeout: 1))
    }

    @Test(arguments: [
        [], ["ONNX", "l", "CPU", "0"], ["ONNX", "l", "CPU", "x", "1"], ["ONNX", "l", "CPU", "1", ""],
        ["TF", "l", "CPU", "0", "1", "NO", "x"], ["TF", "l", "CPU", "0", "1", "NO", "MODEL", "2", "a"],
        ["TF", "l", "CPU", "0", "1", "NO", "MODEL", "-1", "a"], ["TF", "l", "CPU", "0", "1", "NO", "MODEL", "x"],
    ])
    func `other command lines are none`(arguments: [String]) {
        #expect(ModelCheckRequest(arguments: arguments) == nil)
    }

    @Test(arguments: [ModelCheckAnswer.usable, .refused(""), .refused("naïve\n")])
    func `an answer survives the wire`(answer: ModelCheckAnswer) {
        #expect(ModelCheckAnswer(answer.bytes) == answer)
    }

    @Test func `an answer has an end`() {
        let long = ModelCheckAnswer.refused(String(repeating: "x", count: 1_000_000)).bytes
        #expect(long.count < 65_536)
        #expect(ModelCheckAnswer.isComplete(long))
        #expect(!ModelCheckAnswer.isComplete(long.dropLast()))
        #expect(!ModelCheckAnswer.isComplete([]))
    }

    @Test func `a NUL in a text does not end the answer`() {
        #expect(ModelCheckAnswer(ModelCheckAnswer.refused("a\0b").bytes) == .refused("ab"))
    }

    @Test(arguments: [[], [0x3F], [0], [0x2B], [0x2D, 0x61], [0x3F, 0]] as [[UInt8]])
    func `other bytes are no answer`(bytes: [UInt8]) {
        #expect(ModelCheckAnswer(bytes) == nil)
    }
}

/// A shell script in a file of its own, removed at the end.
private final class Script {
    let path: String

    init(_ lines: String) throws {
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("redisai-\(UUID().uuidString).sh")
        path = file.path
        try Data("#!/bin/sh\n\(lines)\n".utf8).write(to: file)
        try FileManager.default.setAttributes([.posixPermissions: 0o700], ofItemAtPath: path)
    }

    deinit {
        try? FileManager.default.removeItem(atPath: path)
    }
}
