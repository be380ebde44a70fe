"""Small LiteRT models, each for one behaviour. Every function returns the serialised model.

Each has one signature, `serving_default`. Unless told otherwise its input is `input` and its output `output`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from support.workshop import made_with_tensorflow

# The network int8() and its quantisation, as the converter finds it: a number is scale * (integer - zero point).
INT8_KERNEL = np.linspace(-1, 1, 12).reshape(4, 3)
INT8_INPUT_SCALE, INT8_INPUT_ZERO = 0.0077898, -1
INT8_OUTPUT_SCALE, INT8_OUTPUT_ZERO = 0.0052491, -128


def rows() -> bytes:
    """Twice the input, FLOAT [any, 3]."""
    return _model("rows")


def fixed() -> bytes:
    """Twice the input, FLOAT [2, 3] and nothing else."""
    return _model("fixed")


def two() -> bytes:
    """`sum` and `difference` of `a` and `b`, FLOAT [any, 3]."""
    return _model("two")


def both() -> bytes:
    """`a` and `b`, BOOL [any, 3], connected with a logical and."""
    return _model("bool")


def int8() -> bytes:
    """relu(x W), quantised: `x` INT8 [any, 4], `output` INT8 [any, 3]; W is `INT8_KERNEL`."""
    return _model("int8")


def uint8() -> bytes:
    """The same network as int8(), with UINT8 in and out."""
    return _program("tflite-uint8.tflite").read_bytes()


def uint8_samples() -> tuple[np.ndarray, np.ndarray]:
    """Inputs of uint8(), [rows, 4], and what LiteRT's own Python package answers."""
    return np.load(_program("uint8-inputs.npy")), np.load(_program("uint8-answers.npy"))


def special(name: str) -> bytes:
    """A model that something is wrong or odd with.

    - `custom`, `dispatch`: its operator is one that only has a name; that of the ones that call a vendor's library
    - `offset`: weights behind the file
    - `half-input`, `half-output`, `uint32`: FLOAT16 in; FLOAT16, or UINT32, out
    - `where`: the places where FLOAT [any, 3] is positive, INT64 [any, 2]
    - `loop`: the number of `rounds`, FLOAT [1], comes out, after as many
    - `pairs`: a b^T of `a` and `b`, FLOAT [any, 3]
    """
    return _program(f"tflite-{name}.tflite").read_bytes()


def reshape(dtype: str) -> bytes:
    """[2, 3] to [3, 2], of one of the module's types, STRING included."""
    return _model(f"reshape-{dtype}")


def _model(name: str) -> bytes:
    return (made_with_tensorflow("tensorflow_models.py") / f"tflite-{name}.tflite").read_bytes()


def _program(name: str) -> Path:
    return made_with_tensorflow("tflite_programs.py") / name
