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


def unsafe(name: str) -> bytes:
    """A graph that reaches out of the computation: the operation of that name, or `ReadFile` in a function that is
    `called` or `uncalled`. The input is a STRING, of rank 0; for `WriteFile` a name and a content."""
    return _program(f"unsafe-{name}")


def loop(flow: str) -> bytes:
    """FLOAT [1] in, the number of rounds that the loop takes, and out; `flow` is v1 or v2."""
    return _program(f"loop-{flow}")


def where() -> bytes:
    """The places where a FLOAT of any shape is not zero, INT64 [any, rank]."""
    return _program("where")


def split() -> bytes:
    """FLOAT [4] in two halves: `output` has two ports."""
    return _program("split")


def constant() -> bytes:
    """`output` is [1, 2], whatever the input."""
    return _program("constant")


def no_output() -> bytes:
    """The node `output` has no ports."""
    return _program("no_output")


def half_input() -> bytes:
    """The Placeholder is of a type that the module does not have."""
    return _program("half_input")


def ranks() -> bytes:
    """A FLOAT in the shape that the INT32 vector `shape` says."""
    return _program("ranks")


def fill() -> bytes:
    """Ones in the shape that the input, an INT64 vector, says."""
    return _program("fill")


def parse() -> bytes:
    """STRING to FLOAT."""
    return _program("parse")


def characters() -> bytes:
    """STRING with a NUL and a letter added to each: no STRING of the module."""
    return _program("characters")


def matmul() -> bytes:
    """The square of a FLOAT matrix."""
    return _program("matmul")


def archive(folder: Path) -> bytes:
    """A SavedModel as it is stored: what `tar -C folder -c .` makes."""
    memory = io.BytesIO()
    with tarfile.open(fileobj=memory, mode="w") as tar:
        tar.add(folder, arcname=".")
    return memory.getvalue()


def _graph(name: str) -> bytes:
    return (made_with_tensorflow("tensorflow_models.py") / f"tf-{name}.pb").read_bytes()


def _program(name: str) -> bytes:
    return (made_with_tensorflow("tensorflow_programs.py") / f"tf-{name}.pb").read_bytes()
