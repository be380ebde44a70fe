internal import CModuleBinary
internal import Commands
internal import Engines
internal import Inference
internal import RedisModuleKit

/// The entry point: the server calls it when it loads the module.
///
/// - Returns: 0, or 1 when the module refuses to be loaded.
@c(RedisModule_OnLoad)
public func redisModuleOnLoad(
    _ context: OpaquePointer?, _ argv: UnsafeMutablePointer<OpaquePointer?>?, _ argc: Int32
) -> Int32 {
    guard let module = ModuleContext(context, name: Module.name, version: Module.versionNumber) else { return 1 }
    InferenceEngine.shared = InferenceEngine(backends: engines)
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
