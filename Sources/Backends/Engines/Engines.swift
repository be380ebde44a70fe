public import Inference
internal import LiteRTBackend
internal import ONNXRuntimeBackend
internal import PyTorchBackend

/// The engines that the module can drive, in the order of INFO. Adding one is adding its import and its row.
public let engines = [
    BackendDescription(
        name: "TF", id: 0, defaultPath: "redisai_tensorflow/redisai_tensorflow.so", names: .fromClient(), open: nil),
    LiteRTBackend.description,
    PyTorchBackend.description,
    ONNXRuntimeBackend.description,
]
