"""The models and scripts of the DAG campaign, and what they compute, in numpy.

Whether an engine takes tensors of some types and shapes is its own affair: a run of the same model by itself, without a
DAG, tells, once for each combination. What comes out is computed here.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper
from support import onnx_models, tf_models, tflite_models, torch_models
from support.commands import execute_command
from support.resp import OK, Argument, Error, RawClient
from support.scripts import script_command, store_script_command

from reliability.keyspace import TensorValue
from reliability.tensor_oracle import ITEM_SIZES

DEVICES = ("CPU", "CPU:1", "CPU:2")
TABLE = tuple(range(100, 108))
"""Out of which the model `pick` takes elements."""
SLOW_TURNS = 500
NUMPY_TYPES = {
    b"FLOAT": np.dtype(np.float32),
    b"DOUBLE": np.dtype(np.float64),
    b"INT8": np.dtype(np.int8),
    b"INT16": np.dtype(np.int16),
    b"INT32": np.dtype(np.int32),
    b"INT64": np.dtype(np.int64),
    b"UINT8": np.dtype(np.uint8),
    b"UINT16": np.dtype(np.uint16),
    b"BOOL": np.dtype(np.bool_),
}
_NAMES = {dtype: name for name, dtype in NUMPY_TYPES.items()}

Arrays = list[np.ndarray]
Function = Callable[[Sequence[np.ndarray]], Arrays]


class RunFails(Exception):
    """The run fails.

    ``text`` is the whole error where the module says it, None where the engine does; ``hint`` is what it says of zeros.
    """

    def __init__(self, text: str | None = None, hint: str = "") -> None:
        super().__init__(text, hint)
        self.text = text
        self.hint = hint


@dataclass(frozen=True)
class DagModel:
    """A model, stored under one key per device."""

    name: str
    engine: str
    blob: Callable[[], bytes]
    inputs: int
    outputs: int
    function: Function
    options: tuple[Argument, ...] = ()
    batch_size: int = 0
    # The types that its runs usually get.
    dtypes: tuple[bytes, ...] = (b"FLOAT",)

    def key(self, device: str) -> bytes:
        return f"{self.name}@{device}".encode()

    def store_command(self, device: str) -> list[Argument]:
        batching = ["BATCHSIZE", self.batch_size] if self.batch_size else []
        tail = [*self.options, "BLOB", self.blob()]
        return ["AI.MODELSTORE", self.key(device), self.engine, device, *batching, *tail]


@dataclass(frozen=True)
class ScriptFunction:
    """A function of the script; ``inputs`` is how many it needs, and all that it looks at (0: any number)."""

    name: bytes
    inputs: int
    function: Function
    keys: int = 0
    arguments: int = 0
    is_entry_point: bool = True


# Functions


def _double(inputs: Sequence[np.ndarray]) -> Arrays:
    return [inputs[0] * inputs[0].dtype.type(2)]


def _double_with_torch(inputs: Sequence[np.ndarray]) -> Arrays:
    """A whole number times 2.0 is a FLOAT there."""
    (array,) = inputs
    return _double([array if array.dtype.kind == "f" else array.astype(np.float32)])


def _plus(array: np.ndarray, constant: float) -> np.ndarray:
    """The constant is a vector of one."""
    return array + np.array([constant], np.float32)


def _sum_and_difference(inputs: Sequence[np.ndarray]) -> Arrays:
    a, b = inputs
    return [a + b, a - b]


def _times(array: np.ndarray, factor: int) -> np.ndarray:
    """As PyTorch does it: a BOOL times a whole number is an INT64."""
    array = array.astype(np.int64) if array.dtype == np.bool_ else array
    return array * array.dtype.type(factor)


def _with_torch(inputs: Sequence[np.ndarray]) -> Arrays:
    """The same two in the type that PyTorch calculates in: a whole number becomes what the fraction is, and a tensor of
    rank 0 what the other is."""
    a, b = inputs
    kinds = ["biuf".index(array.dtype.kind.replace("u", "i")) for array in (a, b)]
    if (a.ndim == 0) != (b.ndim == 0):
        # The one with dimensions decides, unless the other is of a higher kind.
        tensor, number = (0, 1) if b.ndim == 0 else (1, 0)
        chosen = number if kinds[number] > kinds[tensor] else tensor
        dtype = (a, b)[chosen].dtype
    elif kinds[0] != kinds[1] and 3 in kinds:
        dtype = (a, b)[kinds.index(3)].dtype
    else:
        dtype = np.result_type(a, b)
    return [a.astype(dtype), b.astype(dtype)]


def _pick(inputs: Sequence[np.ndarray]) -> Arrays:
    (places,) = inputs
    if (places < -len(TABLE)).any() or (places >= len(TABLE)).any():
        raise RunFails
    return [np.array(TABLE, np.float32)[places]]


def _refuse_negative(inputs: Sequence[np.ndarray]) -> Arrays:
    if inputs[0].sum() < 0:
        raise RunFails
    return [inputs[0]]


def _raise(inputs: Sequence[np.ndarray]) -> Arrays:
    raise RunFails


# Models


def _pick_model() -> bytes:
    table = numpy_helper.from_array(np.array(TABLE, np.float32), "table")
    graph = helper.make_graph(
        [helper.make_node("Gather", ["table", "x"], ["y"])],
        "pick",
        [helper.make_tensor_value_info("x", TensorProto.INT64, None)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [table],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10).SerializeToString()


def _slow_model() -> bytes:
    """Adds 1 so often that others on other devices run meanwhile."""
    float_value = functools.partial(helper.make_tensor_value_info, elem_type=TensorProto.FLOAT, shape=None)
    flag = functools.partial(helper.make_tensor_value_info, elem_type=TensorProto.BOOL, shape=[])
    body = helper.make_graph(
        [helper.make_node("Add", ["xi", "one"], ["xo"]), helper.make_node("Identity", ["ci"], ["co"])],
        "body",
        [helper.make_tensor_value_info("i", TensorProto.INT64, []), flag("ci"), float_value("xi")],
        [flag("co"), float_value("xo")],
    )
    constants = {"n": np.array(SLOW_TURNS), "one": np.array([1], np.float32)}
    graph = helper.make_graph(
        [helper.make_node("Loop", ["n", "", "x"], ["y"], body=body)],
        "slow",
        [float_value("x")],
        [float_value("y")],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10).SerializeToString()


_TF_NAMES = ("INPUTS", 1, "input", "OUTPUTS", 1, "output")
MODELS = (
    DagModel("add", "ONNX", lambda: onnx_models.add_constant(10), 1, 1, lambda i: [_plus(i[0], 10)]),
    DagModel("mul", "ONNX", lambda: onnx_models.mul(None), 2, 1, lambda i: [i[0] * i[1]]),
    DagModel("both", "ONNX", onnx_models.sum_and_difference, 2, 2, _sum_and_difference),
    DagModel("add8", "ONNX", lambda: onnx_models.add_constant(1), 1, 1, lambda i: [_plus(i[0], 1)], batch_size=8),
    DagModel("pick", "ONNX", _pick_model, 1, 1, _pick, dtypes=(b"INT64",)),
    DagModel("text", "ONNX", lambda: onnx_models.identity("STRING"), 1, 1, list, dtypes=(b"STRING",)),
    DagModel("flags", "ONNX", lambda: onnx_models.identity("BOOL"), 1, 1, list, dtypes=(b"BOOL",)),
    DagModel("total", "ONNX", onnx_models.total, 1, 1, lambda i: [np.asarray(i[0].sum(dtype=np.float32))]),
    DagModel("slow", "ONNX", _slow_model, 1, 1, lambda i: [_plus(i[0], SLOW_TURNS)]),
    DagModel("tf", "TF", tf_models.rows, 1, 1, _double, _TF_NAMES),
    DagModel("tf8", "TF", tf_models.rows, 1, 1, _double, _TF_NAMES, batch_size=8),
    DagModel("integers", "TF", lambda: tf_models.identity("INT32"), 1, 1, list, _TF_NAMES, dtypes=(b"INT32",)),
    DagModel("tflite", "TFLITE", tflite_models.rows, 1, 1, _double),
    DagModel("torch", "TORCH", torch_models.rows, 1, 1, _double_with_torch, dtypes=(b"FLOAT", b"DOUBLE", b"INT64")),
    DagModel("torch8", "TORCH", torch_models.rows, 1, 1, _double_with_torch, batch_size=8),
    DagModel("tuple", "TORCH", torch_models.tuple_output, 2, 2, lambda i: _sum_and_difference(_with_torch(i))),
    DagModel("positive", "TORCH", torch_models.failing, 1, 1, _refuse_negative),
)

SCRIPT = """
def copies(tensors: List[Tensor], keys: List[str], args: List[str]):
    return [t * 1 for t in tensors]

def both(tensors: List[Tensor], keys: List[str], args: List[str]):
    return tensors[0] + tensors[1], tensors[0] - tensors[1]

def note(tensors: List[Tensor], keys: List[str], args: List[str]):
    redis.execute("SET", keys[0], args[0])
    return tensors[0] * 3

def model(tensors: List[Tensor], keys: List[str], args: List[str]):
    return redisAI.model_execute("add@CPU", tensors, 1)[0]

def raises(tensors: List[Tensor], keys: List[str], args: List[str]):
    assert 1 == 2, "as it should"
    return tensors[0]

def add(a: Tensor, b: Tensor):
    return a + b
"""
FUNCTIONS = (
    ScriptFunction(b"copies", 0, lambda i: [_times(array, 1) for array in i]),
    ScriptFunction(b"both", 2, lambda i: _sum_and_difference(_with_torch(i))),
    ScriptFunction(b"note", 1, lambda i: [_times(i[0], 3)], keys=1, arguments=1),
    ScriptFunction(b"model", 1, lambda i: [_plus(i[0], 10)]),
    ScriptFunction(b"raises", 1, _raise),
    ScriptFunction(b"add", 2, lambda i: _sum_and_difference(_with_torch(i))[:1], is_entry_point=False),
)
BY_KEY = {model.key(device): (model, device) for model in MODELS for device in DEVICES}
SCRIPTS = {f"script@{device}".encode(): device for device in DEVICES}
FUNCTIONS_BY_NAME = {function.name: function for function in FUNCTIONS}


def set_up_commands(engines: Sequence[str]) -> list[list[Argument]]:
    """Stores the models of these engines, and the script, on all devices."""
    commands = [model.store_command(device) for model in models_of(engines) for device in DEVICES]
    if "TORCH" in engines:
        points = [function.name for function in FUNCTIONS if function.is_entry_point]
        commands += [store_script_command(key, SCRIPT, *points, device=device) for key, device in SCRIPTS.items()]
    return commands


def models_of(engines: Sequence[str]) -> list[DagModel]:
    return [model for model in MODELS if model.engine in engines]


# Tensors


def to_array(value: TensorValue) -> np.ndarray:
    assert value.blob is not None
    if value.dtype == b"STRING":
        return np.array(value.blob.split(b"\0")[:-1], dtype=object).reshape(value.dims)
    return np.frombuffer(value.blob, NUMPY_TYPES[value.dtype]).reshape(value.dims)


def to_value(array: np.ndarray) -> TensorValue:
    if array.dtype == object:
        return TensorValue(b"STRING", array.shape, b"".join(text + b"\0" for text in array.ravel()))
    return TensorValue(_NAMES[array.dtype], array.shape, array.tobytes())


def zeros(dtype: bytes, dims: tuple[int, ...]) -> TensorValue:
    count = 1
    for dim in dims:
        count *= dim
    return TensorValue(dtype, dims, bytes(count * ITEM_SIZES[dtype]))


# The oracle

Signature = tuple[tuple[bytes, tuple[int, ...]], ...]


class Runs:
    """Says what a run of a model or a function gives; asks the server what it takes, by a run on zeros."""

    def __init__(self, raw: RawClient, prefix: str) -> None:
        self._raw = raw
        self._prefix = prefix
        self._replies: dict[tuple[str, Signature], Any] = {}

    def model(self, model: DagModel, inputs: Sequence[TensorValue]) -> list[TensorValue]:
        """Raises ``RunFails``."""
        call = functools.partial(execute_command, model.key("CPU"))
        self._require(model.name, inputs, lambda keys: call(keys, self._outputs(model.outputs)))
        return self._computed(model.function, inputs)

    def function(
        self, function: ScriptFunction, inputs: Sequence[TensorValue], outputs: int, keys: int = 0, arguments: int = 0
    ) -> list[TensorValue]:
        """The same for the script, called with so many of everything."""
        if len(inputs) < function.inputs:
            text = f"Wrong number of inputs provided to function: {function.name.decode()}"
            raise RunFails(None if function.is_entry_point else text)
        if function.keys > keys or function.arguments > arguments or (function.name == b"model" and len(inputs) > 1):
            raise RunFails
        inputs = inputs[: function.inputs or None]
        call = functools.partial(
            script_command, b"script@CPU", function.name, keys=[f"{self._prefix}:key"], args=["x"] * function.arguments
        )
        if function.name != b"raises":
            # The results are of no interest here, nor is their number.
            self._require(f"script {function.name.decode()}", inputs, lambda names: call(names, []))
        results = self._computed(function.function, inputs)
        if outputs and outputs != len(results):
            raise RunFails(f"Function returned unexpected number of outputs - {function.name.decode()}")
        return results[:outputs]

    def _outputs(self, count: int) -> list[str]:
        return [f"{self._prefix}:o{number}" for number in range(count)]

    def _require(self, name: str, inputs: Sequence[TensorValue], call: Callable[[list[str]], list[Argument]]) -> None:
        signature = tuple((value.dtype, value.dims) for value in inputs)
        if (name, signature) not in self._replies:
            self._replies[name, signature] = self._try(signature, call)
        reply = self._replies[name, signature]
        if isinstance(reply, Error):
            raise RunFails(hint=f"{name} of {signature}: {reply.text}")

    def _try(self, signature: Signature, call: Callable[[list[str]], list[Argument]]) -> Any:
        keys = [f"{self._prefix}:i{number}" for number in range(len(signature))]
        for key, (dtype, dims) in zip(keys, signature):
            reply = self._raw.call("AI.TENSORSET", key, dtype, *dims, "BLOB", zeros(dtype, dims).blob or b"")
            assert reply == OK, reply
        reply = self._raw.call(*call(keys))
        assert reply == OK or isinstance(reply, Error), reply
        return reply

    @staticmethod
    def _computed(function: Function, inputs: Sequence[TensorValue]) -> list[TensorValue]:
        with np.errstate(all="ignore"):
            return [to_value(np.asarray(array)) for array in function([to_array(value) for value in inputs])]
