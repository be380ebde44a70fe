"""Short forms of what nearly every test does: write a command, set and read tensors, store and run models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from support.resp import OK, Argument, Error, RawClient

WRONGTYPE = Error("WRONGTYPE Operation against a key holding the wrong kind of value")
NO_TENSOR = Error("ERR tensor key is empty or in a different shard")
NO_MODEL = Error("ERR model key is empty")
NO_RUN_INFO = Error("ERR cannot find run info for key")
IN_TRANSACTION = Error("ERR Cannot run RedisAI command within a transaction or a LUA script")

NUMPY_TYPES = {
    "FLOAT": np.float32,
    "DOUBLE": np.float64,
    "INT8": np.int8,
    "INT16": np.int16,
    "INT32": np.int32,
    "INT64": np.int64,
    "UINT8": np.uint8,
    "UINT16": np.uint16,
    "BOOL": np.bool_,
}
_NAMES = {np.dtype(numpy_type): name for name, numpy_type in NUMPY_TYPES.items()}


def words(text: str, *tail: Argument) -> list[Argument]:
    """A command written as in redis-cli, without quotes; binary arguments follow."""
    return [*text.split(), *tail]


def wrong_arity(typed_name: str) -> Error:
    return Error(f"ERR wrong number of arguments for '{typed_name}' command")


def set_tensor(raw: RawClient, key: Argument, array: Any, dtype: str = "FLOAT") -> None:
    """AI.TENSORSET from anything numpy understands; an array's own type wins over ``dtype``."""
    if not isinstance(array, np.ndarray):
        array = np.array(array, dtype=NUMPY_TYPES[dtype])
    reply = raw.call("AI.TENSORSET", key, _NAMES[array.dtype], *array.shape, "BLOB", array.tobytes())
    assert reply == OK, reply


def get_tensor(raw: RawClient, key: Argument) -> np.ndarray:
    """AI.TENSORGET META BLOB as an array (not for STRING)."""
    reply = raw.call("AI.TENSORGET", key, "META", "BLOB")
    assert isinstance(reply, list), reply
    return np.frombuffer(reply[5], dtype=NUMPY_TYPES[reply[1].decode()]).reshape(reply[3])


def store_command(key: Argument, blob: bytes, *options: Argument, device: str = "CPU") -> list[Argument]:
    return ["AI.MODELSTORE", key, "ONNX", device, *options, "BLOB", blob]


def store_model(raw: RawClient, key: Argument, blob: bytes, *options: Argument, device: str = "CPU") -> None:
    reply = raw.call(*store_command(key, blob, *options, device=device))
    assert reply == OK, reply


def execute_command(
    key: Argument, inputs: Sequence[Argument], outputs: Sequence[Argument], *tail: Argument
) -> list[Argument]:
    return ["AI.MODELEXECUTE", key, "INPUTS", len(inputs), *inputs, "OUTPUTS", len(outputs), *outputs, *tail]


def execute(
    raw: RawClient, key: Argument, inputs: Sequence[Argument], outputs: Sequence[Argument], *tail: Argument
) -> Any:
    """The reply of AI.MODELEXECUTE, errors included."""
    return raw.call(*execute_command(key, inputs, outputs, *tail))


def stats(raw: RawClient, key: Argument) -> dict[str, Any]:
    """AI.INFO as a dictionary."""
    reply = raw.call("AI.INFO", key)
    assert isinstance(reply, list), reply
    return pairs(reply)


def pairs(reply: list[Any]) -> dict[str, Any]:
    """A flat reply of labels and values as a dictionary."""
    return {reply[i].decode(): reply[i + 1] for i in range(0, len(reply), 2)}
