"""The same networks in the formats of all engines, for campaigns that use several engines at once.

A format is what a model file is written in; an engine may read two. All formats have

    fraud   the network of ``support.fraud_models``
    rows    twice the input, FLOAT [n, 3]
    pair    the sum and the difference of two inputs (ONNX, TFLITE and TORCH)
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from onnx import TensorProto, helper
from support import fraud_models, onnx_models, tf_models, tflite_models, torch_models
from support.resp import OK, Argument, RawClient

# The names that `make` knows, and those of the commands.
ENGINES = {"onnx": "ONNX", "tf": "TF", "tflite": "TFLITE", "torch": "TORCH"}
LIBRARIES = {
    "ONNX": "redisai_onnxruntime/redisai_onnxruntime.so",
    "TF": "redisai_tensorflow/redisai_tensorflow.so",
    "TFLITE": "redisai_tflite/redisai_tflite.so",
    "TORCH": "redisai_torch/redisai_torch.so",
}
ROW_WIDTH = 3

_FRAUD_NAMES = ("INPUTS", 2, *fraud_models.INPUTS, "OUTPUTS", 1, fraud_models.OUTPUT)
_ROWS_NAMES = ("INPUTS", 1, "input", "OUTPUTS", 1, "output")

SCRIPT_ENTRY_POINTS = ("through_model", "count", "sum_and_difference")
SCRIPT = """
def through_model(tensors: List[Tensor], keys: List[str], args: List[str]):
    redis.execute("INCR", keys[0])
    return redisAI.model_execute(args[0], tensors, 1)[0]

def count(tensors: List[Tensor], keys: List[str], args: List[str]):
    total = tensors[0] * 0
    for i in range(int(args[0])):
        total = total + 1
    return total

def sum_and_difference(tensors: List[Tensor], keys: List[str], args: List[str]):
    return tensors[0] + tensors[1], tensors[0] - tensors[1]
"""


@dataclass(frozen=True)
class Model:
    """A model file and what AI.MODELSTORE has to be told."""

    engine: str
    blob: bytes
    options: tuple[Argument, ...] = ()

    def store_command(self, key: Argument) -> list[Argument]:
        return ["AI.MODELSTORE", key, self.engine, "CPU", *self.options, "BLOB", self.blob]


@dataclass(frozen=True)
class Format:
    """How to make the common models; each is made once per process."""

    engine: str
    fraud: Callable[[], Model]
    rows: Callable[[], Model] | None = None
    pair: Callable[[], Model] | None = None


def _onnx_rows() -> bytes:
    """``output = input + input``."""
    node = helper.make_node("Add", ["input", "input"], ["output"])
    value = functools.partial(helper.make_tensor_value_info, elem_type=TensorProto.FLOAT, shape=["n", ROW_WIDTH])
    graph = helper.make_graph([node], "rows", [value("input")], [value("output")])
    opsets = [helper.make_opsetid("", 18)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10).SerializeToString()


def _maker(engine: str, make: Callable[[], bytes], options: tuple[Argument, ...] = ()) -> Callable[[], Model]:
    return functools.cache(lambda: Model(engine, make(), options))


FORMATS: dict[str, Format] = {
    "onnx": Format(
        "ONNX",
        _maker("ONNX", fraud_models.onnx_model),
        _maker("ONNX", _onnx_rows),
        _maker("ONNX", onnx_models.sum_and_difference),
    ),
    "frozen_graph": Format(
        "TF", _maker("TF", fraud_models.frozen_graph, _FRAUD_NAMES), _maker("TF", tf_models.rows, _ROWS_NAMES)
    ),
    "saved_model": Format("TF", _maker("TF", fraud_models.saved_model)),
    "tflite": Format(
        "TFLITE",
        _maker("TFLITE", fraud_models.tflite_model),
        _maker("TFLITE", tflite_models.rows),
        _maker("TFLITE", tflite_models.two),
    ),
    "torch": Format(
        "TORCH",
        _maker("TORCH", fraud_models.torch_model),
        _maker("TORCH", torch_models.rows),
        _maker("TORCH", torch_models.tuple_output),
    ),
}


def chosen_engines(words: str) -> list[str]:
    """The engines of a list such as ``onnx,torch`` as commands name them; all of them when the list is empty."""
    names = [word for word in words.replace(",", " ").split()] or list(ENGINES)
    unknown = sorted(set(names) - set(ENGINES))
    if unknown:
        raise SystemExit(f"no such engine: {', '.join(unknown)}; there are {', '.join(ENGINES)}")
    return [ENGINES[name] for name in names]


def engines_from_environment() -> list[str]:
    """Those of REDISAI_ENGINES; all of them when it is not set."""
    return chosen_engines(os.environ.get("REDISAI_ENGINES", ""))


def formats_of(engines: Sequence[str]) -> dict[str, Format]:
    return {name: format for name, format in FORMATS.items() if format.engine in engines}


def open_engines(raw: RawClient, engines: Sequence[str]) -> None:
    """Opens the engines' libraries; one that is not there is an error and never left out."""
    for engine in engines:
        reply = raw.call("AI.CONFIG", "LOADBACKEND", engine, LIBRARIES[engine])
        assert reply == OK, f"{engine} cannot be loaded: {reply}"


def script_command(key: Argument) -> list[Argument]:
    """Stores the common script."""
    points = ["ENTRY_POINTS", len(SCRIPT_ENTRY_POINTS), *SCRIPT_ENTRY_POINTS]
    return ["AI.SCRIPTSTORE", key, "CPU", *points, "SOURCE", SCRIPT]


def script_call(
    key: Argument,
    function: str,
    inputs: Sequence[Argument],
    outputs: Sequence[Argument],
    keys: Sequence[Argument] = (),
    arguments: Sequence[Argument] = (),
) -> list[Argument]:
    """AI.SCRIPTEXECUTE with all its sections."""
    command: list[Argument] = ["AI.SCRIPTEXECUTE", key, function]
    for word, section in (("KEYS", keys), ("INPUTS", inputs), ("ARGS", arguments), ("OUTPUTS", outputs)):
        if section:
            command += [word, len(section), *section]
    return command


def in_model_order(raw: RawClient, key: str, names: Sequence[str]) -> list[int]:
    """For each input of the model the position of its name in ``names``: converters sort inputs and decorate names."""
    reply = raw.call("AI.MODELGET", key, "META")
    inputs = [name.decode() for name in dict(zip(reply[::2], reply[1::2]))[b"inputs"]]
    return [next(place for place, name in enumerate(names) if name in text) for text in inputs]
