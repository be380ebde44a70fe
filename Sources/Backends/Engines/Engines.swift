public import Inference
internal import ONNXRuntimeBackend
internal import TensorFlowBackend

/// The engines that the module can drive, in the order of INFO. Adding one is adding its import and its row.
public let engines = [
    TensorFlowBackend.description,
    BackendDescription(
        name: "TFLITE", id: 1, defaultPath: "redisai_tflite/redisai_tflite.so", names: .fromModel, open: nil),
    BackendDescription(
        name: "TORCH", id: 2, defaultPath: "redisai_torch/redisai_torch.so", names: .fromModel, open: nil),
    ONNXRuntimeBackend.description,
]
