internal import CPyTorch
internal import Inference
internal import Tensors

/// What a running script can call, in the form that the library takes.
final class PyTorchHost {
    private let library: PyTorchLibrary
    private let host: ScriptHost

    init(_ library: PyTorchLibrary, _ host: ScriptHost) {
        self.library = library
        self.host = host
    }

    /// Calls `body` with functions that reach this object; they may be used until `body` returns.
    func withInterface<Result>(_ body: (UnsafePointer<RTHost>) -> Result) -> Result {
        var interface = RTHost(
            context: Unmanaged.passUnretained(self).toOpaque(), execute: Self.execute, run_model: Self.runModel)
        return withExtendedLifetime(self) { body(&interface) }
    }

    private static let execute:
        @convention(c) (
            UnsafeMutableRawPointer?, UnsafePointer<RTBytes>?, Int, OpaquePointer?
        ) -> Int32 = { context, words, count, reply in
            guard let context, let words, let reply else { return 1 }
            let host = Unmanaged<PyTorchHost>.fromOpaque(context).takeUnretainedValue()
            return host.execute((0..<count).map { UnsafeRawBufferPointer(words[$0]) }, reply)
        }

    private static let runModel:
        @convention(c) (
            UnsafeMutableRawPointer?, RTBytes, UnsafePointer<RTTensor>?, Int, Int, OpaquePointer?
        ) -> Int32 = { context, key, inputs, count, outputCount, reply in
            guard let context, let reply else { return 1 }
            let host = Unmanaged<PyTorchHost>.fromOpaque(context).takeUnretainedValue()
            let inputs = UnsafeBufferPointer(start: inputs, count: inputs == nil ? 0 : count)
            return host.runModel(UnsafeRawBufferPointer(key), inputs, outputCount, reply)
        }

    private func execute(_ words: [UnsafeRawBufferPointer], _ reply: OpaquePointer) -> Int32 {
        do throws(InferenceError) {
            try host.execute(words, reply: Writer(api: library.api, reply: reply))
            return 0
        } catch {
            return fail(error, reply)
        }
    }

    private func runModel(
        _ key: UnsafeRawBufferPointer, _ inputs: UnsafeBufferPointer<RTTensor>, _ outputCount: Int,
        _ reply: OpaquePointer
    ) -> Int32 {
        do throws(InferenceError) {
            var tensors: [Tensor] = []
            for input in inputs { tensors.append(try Tensor(copying: input)) }
            let outputs = try host.runModel(at: key, inputs: tensors, outputCount: outputCount)
            let views = try PyTorchViews(outputs, areRetained: false)
            views.withPointer { views in
                for index in outputs.indices { library.api.pointee.reply_tensor(reply, views.map { $0 + index }) }
            }
            return 0
        } catch {
            return fail(error, reply)
        }
    }

    private func fail(_ error: InferenceError, _ reply: OpaquePointer) -> Int32 {
        var text = error.message
        text.withUTF8 { library.api.pointee.reply_error(reply, RTBytes(UnsafeRawBufferPointer($0))) }
        return 1
    }

    /// Turns the parts of an answer into values of the script.
    private struct Writer: ScriptReplyWriter {
        let api: UnsafePointer<RedisAITorch>
        let reply: OpaquePointer

        func text(_ bytes: UnsafeRawBufferPointer) {
            api.pointee.reply_text(reply, RTBytes(bytes))
        }

        func integer(_ value: Int64) {
            api.pointee.reply_integer(reply, value)
        }

        func double(_ value: Double) {
            api.pointee.reply_double(reply, value)
        }

        func null() {
            api.pointee.reply_null(reply)
        }

        func array(_ count: Int) {
            api.pointee.reply_array(reply, count)
        }
    }
}

extension RTBytes {
    init(_ bytes: UnsafeRawBufferPointer) {
        self.init(start: bytes.baseAddress?.assumingMemoryBound(to: CChar.self), count: bytes.count)
    }
}

extension UnsafeRawBufferPointer {
    init(_ bytes: RTBytes) {
        self.init(start: bytes.start, count: bytes.count)
    }
}
