"""numpy arrays in and out of a server, and whole model runs, over redis-py."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import redis

DTYPES = {
    "FLOAT": "<f4",
    "DOUBLE": "<f8",
    "INT8": "<i1",
    "INT16": "<i2",
    "INT32": "<i4",
    "INT64": "<i8",
    "UINT8": "<u1",
    "UINT16": "<u2",
    "BOOL": "?",
}
NAMES = {np.dtype(code): name for name, code in DTYPES.items()}


def set_tensor(client: redis.Redis, key: str, array: np.ndarray) -> None:
    """AI.TENSORSET with a BLOB; arrays of text become STRING tensors in UTF-8."""
    if array.dtype.kind in "UOS":
        name, blob = "STRING", b"".join(as_bytes(element) + b"\0" for element in array.reshape(-1))
    else:
        name, blob = NAMES[array.dtype], np.ascontiguousarray(array).tobytes()
    assert client.execute_command("AI.TENSORSET", key, name, *array.shape, "BLOB", blob) == b"OK"


def get_tensor(client: redis.Redis, key: str) -> np.ndarray:
    """AI.TENSORGET META BLOB; a STRING tensor becomes an array of str."""
    _, name, _, shape, _, blob = client.execute_command("AI.TENSORGET", key, "META", "BLOB")
    if name == b"STRING":
        strings = [element.decode() for element in blob.split(b"\0")[:-1]]
        return np.array(strings, dtype=object).reshape(shape)
    return np.frombuffer(blob, dtype=DTYPES[name.decode()]).reshape(shape)


def as_bytes(element: str | bytes) -> bytes:
    return element.encode() if isinstance(element, str) else element


def store_model(client: redis.Redis, key: str, backend: str, model: bytes, *options: str | int) -> None:
    """AI.MODELSTORE for the CPU."""
    assert client.execute_command("AI.MODELSTORE", key, backend, "CPU", *options, "BLOB", model) == b"OK"


def store_onnx(client: redis.Redis, key: str, model: bytes) -> None:
    """The same for ONNX with no options."""
    store_model(client, key, "ONNX", model)


def names(client: redis.Redis, key: str, side: str) -> list[str]:
    """The names of a model's `inputs` or `outputs` in their order."""
    reply = client.execute_command("AI.MODELGET", key, "META")
    return [name.decode() for name in dict(zip(reply[::2], reply[1::2]))[side.encode()]]


def run_model(client: redis.Redis, key: str, inputs: Sequence[np.ndarray], outputs: int) -> list[np.ndarray | None]:
    """One AI.MODELEXECUTE on fresh keys; an output that was not written is None."""
    input_keys = [f"{{{key}}}:in:{index}" for index in range(len(inputs))]
    output_keys = [f"{{{key}}}:out:{index}" for index in range(outputs)]
    client.delete(*output_keys)
    for input_key, array in zip(input_keys, inputs):
        set_tensor(client, input_key, array)
    command = ["AI.MODELEXECUTE", key, "INPUTS", len(inputs), *input_keys, "OUTPUTS", outputs, *output_keys]
    assert client.execute_command(*command) == b"OK"
    return [get_tensor(client, output_key) if client.exists(output_key) else None for output_key in output_keys]
