internal import CModuleBinary
internal import Commands
internal import Inference
internal import ONNXRuntimeBackend
internal import RedisModuleKit

/// The engines, by their numbers in data files. Adding one is adding a line.
private let backends = [
    BackendDescription(
        name: "TF", id: 0, defaultPath: "redisai_tensorflow/redisai_tensorflow.so", needsNames: true, open: nil),
    BackendDescription(
        name: "TFLITE", id: 1, defaultPath: "redisai_tflite/redisai_tflite.so", needsNames: false, open: nil),
    BackendDescription(
        name: "TORCH", id: 2, defaultPath: "redisai_torch/redisai_torch.so", needsNames: false, open: nil),
    ONNXRuntimeBackend.description,
]

/// The entry point: the server calls it when it loads the module.
///
/// - Returns: 0, or 1 when the module refuses to be loaded.
@c(RedisModule_OnLoad)
public func redisModuleOnLoad(
    _ context: OpaquePointer?, _ argv: UnsafeMutablePointer<OpaquePointer?>?, _ argc: Int32
) -> Int32 {
    guard let module = ModuleContext(context, name: Module.name, version: Module.versionNumber) else { return 1 }
    InferenceEngine.shared = InferenceEngine(backends: backends)
    let isLoaded = Module.load(
        module, LoadArguments(argv, argc), folder: moduleFolder(),
        gitSHA: String(cString: module_binary_git_sha()))
    return isLoaded ? 0 : 1
}

/// The folder that the module's own file is in.
private func moduleFolder() -> String {
    guard let path = module_binary_path().map({ String(cString: $0) }), let slash = path.lastIndex(of: "/") else {
        return "."
    }
    return String(path[..<slash])
}
