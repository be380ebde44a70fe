internal import CTensorFlow
internal import Inference

enum TFDevices {
    /// Where operations go that do not say where they run; nil to leave it to the library.
    static func name(_ device: Device) -> String? {
        device.kind == .gpu ? "/device:GPU:\(device.index ?? 0)" : nil
    }

    /// Throws when the library has no such GPU.
    static func checkGPU(
        _ library: TensorFlowLibrary, _ config: TFSessionConfig, _ device: Device
    ) throws(InferenceError) {
        let count = (try? gpuCount(library, config)) ?? 0
        guard (device.index ?? 0) < count else { throw InferenceError("ERR GPU requested but TF couldn't find CUDA") }
    }

    private static func gpuCount(
        _ library: TensorFlowLibrary, _ config: TFSessionConfig
    ) throws(InferenceError) -> Int {
        let functions = library.functions
        let graph = try TFGraph(library)
        let session = try config.makeSession(graph, TFEndpoints())
        let list = try session.devices()
        defer { Tf_DeleteDeviceList(functions, list) }
        var count = 0
        for index in 0..<Tf_DeviceListCount(functions, list) {
            let type = try library.checked { Tf_DeviceListType(functions, list, index, $0) }
            if type.map({ String(cString: $0) }) == "GPU" { count += 1 }
        }
        return count
    }
}
