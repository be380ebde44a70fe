"""The models of the batching campaign: how inputs for them are made, and what a run without others answers.

Every model is stored several times, with different options for batching. All inputs are random, so that no two requests
have the same answer, but for ``sizes``, whose answer is the number of rows that ran together.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from onnx import TensorProto, helper, numpy_helper
from support import fraud_models, onnx_models
from support.resp import Argument, RawClient

from reliability.engine_models import ROW_WIDTH, Model, formats_of, in_model_order

TABLE_SIZE = 4096
SIZES, SUMS, PICKS = "sizes:onnx", "sums:onnx", "picks:onnx"
"""Models about which there is something special to say, see below."""

Arrays = list[np.ndarray]


@dataclass(frozen=True)
class Batching:
    """The options of a stored model; 0 leaves one out."""

    size: int
    minimum: int = 0
    milliseconds: int = 0

    def options(self) -> list[Argument]:
        words: list[Argument] = ["BATCHSIZE", self.size]
        if self.minimum:
            words += ["MINBATCHSIZE", self.minimum]
        if self.milliseconds:
            words += ["MINBATCHTIMEOUT", self.milliseconds]
        return words

    def __str__(self) -> str:
        return ":".join(str(number) for number in (self.size, self.minimum, self.milliseconds))


@dataclass(frozen=True)
class Kind:
    """A model file; ``make`` returns inputs with so many rows, ``answer`` the outputs that belong to them."""

    name: str
    model: Callable[[], Model]
    make: Callable[[np.random.Generator, int], Arrays]
    answer: Callable[[Sequence[np.ndarray]], Arrays]
    # Whether inputs of other widths and types than the model's are refused.
    strict: bool = False

    def key(self, batching: Batching) -> str:
        return f"{self.name}:{batching}"

    def store_command(self, batching: Batching) -> list[Argument]:
        model = self.model()
        tail = [*model.options, "BLOB", model.blob]
        return ["AI.MODELSTORE", self.key(batching), model.engine, "CPU", *batching.options(), *tail]


@dataclass(frozen=True)
class Order:
    """A converter may have changed the order of a model's inputs and outputs."""

    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def orders_of(raw: RawClient, kind: Kind, batching: Batching) -> Order:
    """How the model, which is stored, takes what the kind makes, and returns what it answers."""
    key = kind.key(batching)
    if kind.name.startswith("fraud:"):
        return Order(tuple(in_model_order(raw, key, list(fraud_models.INPUTS))), (0,))
    if kind.name.startswith("pair:"):
        reply = raw.call("AI.MODELGET", key, "META")
        names = [name.decode() for name in dict(zip(reply[::2], reply[1::2]))[b"outputs"]]
        return Order(tuple(in_model_order(raw, key, ["a", "b"])), (1, 0) if names[0].startswith("d") else (0, 1))
    return Order((0,), (0,))


def kinds_of(engines: Sequence[str]) -> dict[str, Kind]:
    """All models of these engines by their names."""
    kinds: list[Kind] = []
    for name, format in formats_of(engines).items():
        kinds.append(Kind(f"fraud:{name}", format.fraud, _transactions, _scores, strict=True))
        if format.rows:
            kinds.append(Kind(f"rows:{name}", format.rows, _rows, lambda inputs: [inputs[0] * 2]))
        if format.pair:
            kinds.append(Kind(f"pair:{name}", format.pair, _pairs, lambda inputs: _sum_and_difference(*inputs)))
    if "ONNX" in engines:
        kinds += _onnx_kinds()
    return {kind.name: kind for kind in kinds}


def _onnx_kinds() -> list[Kind]:
    constant = 1000.0
    add, text, whole = (
        functools.cache(lambda make=make: Model("ONNX", make()))
        for make in (
            lambda: onnx_models.add_constant(constant),
            lambda: onnx_models.identity("STRING"),
            lambda: onnx_models.identity("INT64"),
        )
    )
    return [
        # Requests of all ranks and widths meet at the same model and must not be put together.
        Kind("shapes:onnx", add, _any_shape, lambda inputs: [inputs[0] + np.float32(constant)]),
        Kind("texts:onnx", text, _texts, list),
        Kind("integers:onnx", whole, _integers, list),
        Kind(PICKS, _picking, _places, lambda inputs: [_table()[inputs[0]]]),
        Kind(SIZES, _counting_rows, _rows, lambda inputs: [np.full_like(inputs[0], len(inputs[0]))]),
        Kind(SUMS, _summing, _whole_rows, lambda inputs: [inputs[0].sum(axis=0, keepdims=True)]),
    ]


# Inputs and answers


def _transactions(random: np.random.Generator, rows: int) -> Arrays:
    return [random.standard_normal((rows, width), dtype=np.float32) for width in fraud_models.INPUTS.values()]


def _scores(inputs: Sequence[np.ndarray]) -> Arrays:
    return [fraud_models.answers(*inputs)]


def _rows(random: np.random.Generator, rows: int) -> Arrays:
    return [random.standard_normal((rows, ROW_WIDTH), dtype=np.float32)]


def _whole_rows(random: np.random.Generator, rows: int) -> Arrays:
    """Numbers whose sums are exact."""
    return [random.integers(-1000, 1000, (rows, ROW_WIDTH)).astype(np.float32)]


def _pairs(random: np.random.Generator, rows: int) -> Arrays:
    return [*_rows(random, rows), *_rows(random, rows)]


def _sum_and_difference(a: np.ndarray, b: np.ndarray) -> Arrays:
    return [a + b, a - b]


def _any_shape(random: np.random.Generator, rows: int) -> Arrays:
    dims = [(), (1,), (3,), (5,), (2, 2), (4, 1)][random.integers(6)]
    return [random.standard_normal((rows, *dims), dtype=np.float32)]


def _texts(random: np.random.Generator, rows: int) -> Arrays:
    """Of different lengths, the empty one among them."""
    words = [b"%x" % random.integers(1 << 62) * int(random.integers(4)) for _ in range(rows * 2)]
    return [np.array(words, dtype=object).reshape(rows, 2)]


def _integers(random: np.random.Generator, rows: int) -> Arrays:
    return [random.integers(-(2**63), 2**63 - 1, (rows, 2))]


def _places(random: np.random.Generator, rows: int) -> Arrays:
    return [random.integers(0, TABLE_SIZE, (rows, 4))]


# Model files


def _picking() -> Model:
    """Elements of a table; a place outside of it is an error that only the values show."""
    table = numpy_helper.from_array(_table(), "table")
    nodes = [helper.make_node("Gather", ["table", "x"], ["y"])]
    return _onnx(nodes, TensorProto.INT64, ["n", 4], [table])


@functools.cache
def _table() -> np.ndarray:
    return np.random.default_rng(7).standard_normal(TABLE_SIZE, dtype=np.float32)


def _counting_rows() -> Model:
    """The number of rows of this run, whatever they hold."""
    nodes = [
        helper.make_node("Shape", ["x"], ["dims"]),
        helper.make_node("Gather", ["dims", "first"], ["rows"]),
        helper.make_node("Cast", ["rows"], ["count"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["x", "nothing"], ["zeros"]),
        helper.make_node("Add", ["zeros", "count"], ["y"]),
    ]
    constants = {"first": np.array(0), "nothing": np.array(0, np.float32)}
    return _onnx(
        nodes, TensorProto.FLOAT, ["n", ROW_WIDTH], [numpy_helper.from_array(c, n) for n, c in constants.items()]
    )


def _summing() -> Model:
    """One row, whatever the number of rows of the input: its answers cannot be told apart when it is batched."""
    axes = numpy_helper.from_array(np.array([0]), "axes")
    nodes = [helper.make_node("ReduceSum", ["x", "axes"], ["y"], keepdims=1)]
    return _onnx(nodes, TensorProto.FLOAT, ["n", ROW_WIDTH], [axes])


def _onnx(nodes: list, element_type: int, dims: list, constants: list) -> Model:
    graph = helper.make_graph(
        nodes,
        "batching",
        [helper.make_tensor_value_info("x", element_type, dims)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    return Model("ONNX", model.SerializeToString())
