"""What the fuzzer believes to be stored under its keys."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TensorValue:
    """A tensor; ``blob`` is None when its bytes are not known (a model wrote them)."""

    dtype: bytes
    dims: tuple[int, ...]
    blob: bytes | None


@dataclass(frozen=True, slots=True)
class ModelValue:
    """A model; the counts are None when its file is not one of the known ones, or it may still be loading."""

    inputs: int | None
    outputs: int | None


class _Mark:
    """A value of which only the kind is known."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return self.name


OTHER_TYPE = _Mark("OTHER_TYPE")
"""A string, a hash: anything that is none of the module's."""
UNKNOWN = _Mark("UNKNOWN")
"""Whatever is there, if anything."""
SOME_TENSOR = _Mark("SOME_TENSOR")
"""A tensor of unknown type and shape."""

Value = TensorValue | ModelValue | _Mark
Keyspace = dict[bytes, Value]


def is_tensor(value: Value | None) -> bool | None:
    """None when it is not known."""
    if value is UNKNOWN:
        return None
    return value is SOME_TENSOR or isinstance(value, TensorValue)


def is_model(value: Value | None) -> bool | None:
    """None when it is not known."""
    return None if value is UNKNOWN else isinstance(value, ModelValue)
