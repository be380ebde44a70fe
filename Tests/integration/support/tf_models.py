"""Small TensorFlow models, each for one behaviour. Every function returns the serialised GraphDef.

Unless told otherwise the graphs have the Placeholder `input` and the node `output`.
"""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

from support.workshop import made_with_tensorflow


def mul() -> bytes:
    """`mul` = `a` * `b`, FLOAT [2, any]; what has other dimensions is for TensorFlow to refuse."""
    return _graph("mul")


def identity(dtype: str) -> bytes:
    """The input of one of the module's types, STRING included, of any shape."""
    return _graph(f"identity-{dtype}")


def rows() -> bytes:
    """Twice the input, FLOAT [any, 3]: can be batched."""
    return _graph("rows")


def scalar() -> bytes:
    """The sum of a FLOAT of any shape, of rank 0."""
    return _graph("scalar")


def half() -> bytes:
    """FLOAT in, and out a type that the module has no name for."""
    return _graph("cast-HALF")


def complex64() -> bytes:
    """FLOAT in, and out a type that the module does not have."""
    return _graph("cast-COMPLEX64")


def variable() -> bytes:
    """A graph that was not frozen: `output` is a variable without a value, and there is no input."""
    return _graph("variable")


def read_file() -> bytes:
    """The content of the file that the input, a STRING of rank 0, names."""
    return _graph("read_file")


def archive(folder: Path) -> bytes:
    """A SavedModel as it is stored: what `tar -C folder -c .` makes."""
    memory = io.BytesIO()
    with tarfile.open(fileobj=memory, mode="w") as tar:
        tar.add(folder, arcname=".")
    return memory.getvalue()


def _graph(name: str) -> bytes:
    return (made_with_tensorflow("tensorflow_models.py") / f"tf-{name}.pb").read_bytes()
