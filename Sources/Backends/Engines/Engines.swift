public import Inference
internal import LiteRTBackend
internal import ONNXRuntimeBackend
internal import PyTorchBackend
internal import TensorFlowBackend

/// The engines that the module can drive, in the order of INFO. Adding one is adding its import and its row.
public let engines = [
    TensorFlowBackend.description,
    LiteRTBackend.description,
    PyTorchBackend.description,
    ONNXRuntimeBackend.description,
]
