"""The few messages of TensorFlow Serving's Predict call, described to protobuf with their published numbers.

The package that holds them needs the whole of TensorFlow. What it has more of, such as versions of models, is left out
here; protobuf skips fields that it does not know.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

# A number of the enumeration tensorflow.DataType.
DT_FLOAT = 1
_INT, _ENUM_NUMBER, _TEXT, _BYTES, _FLOAT, _MESSAGE = (
    FieldDescriptorProto.TYPE_INT64,
    FieldDescriptorProto.TYPE_INT32,
    FieldDescriptorProto.TYPE_STRING,
    FieldDescriptorProto.TYPE_BYTES,
    FieldDescriptorProto.TYPE_FLOAT,
    FieldDescriptorProto.TYPE_MESSAGE,
)
# Message: field: its number, its type or the name of its message, and whether it is repeated.
_MESSAGES: Mapping[str, Mapping[str, tuple[int, int | str, bool]]] = {
    "Dim": {"size": (1, _INT, False)},
    "TensorShapeProto": {"dim": (2, "Dim", True)},
    "TensorProto": {
        "dtype": (1, _ENUM_NUMBER, False),
        "tensor_shape": (2, "TensorShapeProto", False),
        "tensor_content": (4, _BYTES, False),
        "float_val": (5, _FLOAT, True),
    },
    "ModelSpec": {"name": (1, _TEXT, False), "signature_name": (3, _TEXT, False)},
    # How a map is written: as its pairs.
    "Entry": {"key": (1, _TEXT, False), "value": (2, "TensorProto", False)},
    "PredictRequest": {"model_spec": (1, "ModelSpec", False), "inputs": (2, "Entry", True)},
    "PredictResponse": {"outputs": (1, "Entry", True)},
}


def _pool() -> DescriptorPool:
    file = FileDescriptorProto(name="prediction.proto", package="prediction", syntax="proto3")
    for message, fields in _MESSAGES.items():
        described = file.message_type.add(name=message)
        for name, (number, kind, repeated) in fields.items():
            label = FieldDescriptorProto.LABEL_REPEATED if repeated else FieldDescriptorProto.LABEL_OPTIONAL
            field = described.field.add(name=name, number=number, label=label)
            if isinstance(kind, str):
                field.type, field.type_name = _MESSAGE, f".prediction.{kind}"
            else:
                field.type = kind
    pool = DescriptorPool()
    pool.Add(file)
    return pool


_descriptors = _pool()


def _new(message: str) -> Any:
    return GetMessageClass(_descriptors.FindMessageTypeByName(f"prediction.{message}"))()


def request(model: str, signature: str, inputs: Mapping[str, np.ndarray]) -> bytes:
    """A PredictRequest with FLOAT tensors."""
    message = _new("PredictRequest")
    message.model_spec.name = model
    message.model_spec.signature_name = signature
    for name, array in inputs.items():
        entry = message.inputs.add(key=name)
        entry.value.dtype = DT_FLOAT
        for size in array.shape:
            entry.value.tensor_shape.dim.add(size=size)
        entry.value.tensor_content = array.tobytes()
    return message.SerializeToString()


def output(reply: bytes, name: str) -> np.ndarray:
    """The only row of an output of a PredictResponse, which writes small tensors as numbers and others as bytes."""
    message = _new("PredictResponse")
    message.ParseFromString(reply)
    [tensor] = [entry.value for entry in message.outputs if entry.key == name]
    if tensor.tensor_content:
        return np.frombuffer(tensor.tensor_content, np.float32)
    return np.array(tensor.float_val, np.float32)
