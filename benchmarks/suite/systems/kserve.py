"""The KServe v2 protocol over HTTP with binary tensors."""

import json
from collections.abc import Mapping

import numpy as np

from suite.systems import http

DATA_TYPES = {"float32": "FP32", "int64": "INT64"}


def binary_request(model: str, inputs: Mapping[str, np.ndarray]) -> bytes:
    """A whole request that asks for binary outputs."""
    described = [
        {
            "name": name,
            "shape": array.shape,
            "datatype": DATA_TYPES[array.dtype.name],
            "parameters": {"binary_data_size": array.nbytes},
        }
        for name, array in inputs.items()
    ]
    content = {"inputs": described, "parameters": {"binary_data_output": True}}
    description = json.dumps(content, separators=(",", ":")).encode()
    numbers = b"".join(array.tobytes() for array in inputs.values())
    headers = http.OCTETS | {"Inference-Header-Content-Length": str(len(description))}
    return http.post(f"/v2/models/{model}/infer", description + numbers, headers)


def last_floats(body: bytes) -> np.ndarray:
    """Both probabilities of an answer with one binary output: it ends with them."""
    return http.floats(body[-8:])
