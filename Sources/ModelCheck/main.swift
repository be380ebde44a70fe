// redisai-model-check BACKEND LIBRARY DEVICE MEMORY_LIMIT TIMEOUT [YES|NO [MODEL|SCRIPT [INPUTS name ...]]] < MODEL
//
// Loads a model and runs it once (or compiles a script), in a process that may die of it. The answer on standard output is `+` for a usable
// model, or `-` and the engine's text, then a NUL; no answer means that the engine did not survive. The server starts this program
// for every model; by hand it tells whether a model will be accepted:
//
//   redisai-model-check ONNX backends/redisai_onnxruntime/redisai_onnxruntime.so CPU 0 60000 < model.onnx

internal import Engines
internal import Glibc
internal import Inference

private func answer(_ answer: ModelCheckAnswer) -> Never {
    var rest = answer.bytes[...]
    while !rest.isEmpty {
        let count = rest.withUnsafeBytes { write(STDOUT_FILENO, $0.baseAddress, $0.count) }
        guard count > 0 else { break }
        rest = rest.dropFirst(count)
    }
    // Not exit(): the engine's static destructors have nothing to add.
    _exit(0)
}

private func check(_ request: ModelCheckRequest) throws(InferenceError) {
    guard let description = engines.first(where: { $0.name == request.backend }), let open = description.open,
        let device = Device(request.device)
    else { throw .couldNotLoadBackend }
    let model = try StandardInput()
    ProcessLimits.apply(
        timeout: request.timeout, modelBytes: model.byteCount, limitsMemory: device.kind == .cpu)
    var settings = EngineSettings()
    // One thread: limits on memory and time then mean what they say.
    settings.intraOpParallelism = 1
    settings.interOpParallelism = 1
    settings.memoryLimit = request.memoryLimit
    settings.allowsUnsafeOperations = request.allowsUnsafeOperations
    let backend = try open(request.library, settings)
    if request.kind == .script {
        guard let backend = backend as? any ScriptBackend else { throw .couldNotLoadBackend }
        let definition = model.withBytes { source in
            ScriptDefinition(
                key: [], backend: description, device: device, tag: [], entryPoints: request.inputNames, source: source)
        }
        _ = try backend.compile(definition)
        return
    }
    let definition = ModelDefinition(
        key: [], backend: description, device: device, tag: [], batching: ModelDefinition.Batching(),
        inputNames: request.inputNames, outputNames: request.outputNames, blob: ModelBlob([model]))
    try backend.load(definition).warmUp(watch: RunWatch(clock: .system))
}

guard let request = ModelCheckRequest(arguments: Array(CommandLine.arguments.dropFirst())) else {
    answer(
        .refused(
            "usage: redisai-model-check BACKEND LIBRARY DEVICE MEMORY_LIMIT TIMEOUT [YES|NO [MODEL|SCRIPT [INPUTS name ...]]] < MODEL"
        )
    )
}
do throws(InferenceError) {
    try check(request)
    answer(.usable)
} catch {
    answer(.refused(error.message))
}
