"""Tiny ONNX models made in memory, each for one behaviour. Every function returns the serialised model.

Names of inputs, outputs and weights have one character where the contract counts bytes and allocator calls per name.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence

import numpy as np
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

IR_VERSION = 10
OPSET = 18
ML_OPSET = 3

# The element types of the module by the names its commands use.
DTYPES = {
    "FLOAT": TensorProto.FLOAT,
    "DOUBLE": TensorProto.DOUBLE,
    "INT8": TensorProto.INT8,
    "INT16": TensorProto.INT16,
    "INT32": TensorProto.INT32,
    "INT64": TensorProto.INT64,
    "UINT8": TensorProto.UINT8,
    "UINT16": TensorProto.UINT16,
    "BOOL": TensorProto.BOOL,
    "STRING": TensorProto.STRING,
}

Dims = Sequence[str | int | None] | None


# Arithmetic


def mul_by_weights() -> bytes:
    """``y = x * w`` over FLOAT [3, 2]; w is 1..6, 24 bytes: the model of the reference's allocator numbers."""
    weights = numpy_helper.from_array(np.arange(1, 7, dtype=np.float32).reshape(3, 2), "w")
    return _model([helper.make_node("Mul", ["x", "w"], ["y"])], [_float("x", [3, 2])], [_float("y", [3, 2])], [weights])


def mul(dims: Dims = ("n", 2)) -> bytes:
    """``m = a * b`` over FLOAT, two inputs."""
    return _model(
        [helper.make_node("Mul", ["a", "b"], ["m"])], [_float("a", dims), _float("b", dims)], [_float("m", dims)]
    )


def sum_and_difference() -> bytes:
    """Two inputs ``a`` and ``b``, two outputs ``s = a + b`` and ``d = a - b``, any shape."""
    nodes = [helper.make_node("Add", ["a", "b"], ["s"]), helper.make_node("Sub", ["a", "b"], ["d"])]
    return _model(nodes, [_float("a"), _float("b")], [_float("s"), _float("d")])


def add_constant(constant: float, dims: Dims = None) -> bytes:
    """``y = x + constant``: tells apart two versions of a model stored under one key."""
    value = numpy_helper.from_array(np.array([constant], dtype=np.float32), "c")
    return _model([helper.make_node("Add", ["x", "c"], ["y"])], [_float("x", dims)], [_float("y", dims)], [value])


def sum_of(inputs: int) -> bytes:
    """``y = a + b + ...``: as many inputs as an argument check needs."""
    names = [chr(ord("a") + i) for i in range(inputs)]
    return _model([helper.make_node("Sum", names, ["y"])], [_float(name) for name in names], [_float("y")])


# Types and shapes


def identity(dtype: str, dims: Dims = None) -> bytes:
    """``y = x`` for one of the module's ten types; any shape unless ``dims`` says otherwise."""
    return _model(
        [helper.make_node("Identity", ["x"], ["y"])],
        [_value("x", DTYPES[dtype], dims)],
        [_value("y", DTYPES[dtype], dims)],
    )


def to_float16() -> bytes:
    """FLOAT to FLOAT16: an output type the module has no name for."""
    node = helper.make_node("Cast", ["x"], ["y"], to=TensorProto.FLOAT16)
    return _model([node], [_float("x")], [_value("y", TensorProto.FLOAT16)])


def total() -> bytes:
    """``y = sum(x)`` as a scalar: an output of rank 0."""
    return _model([helper.make_node("ReduceSum", ["x"], ["y"], keepdims=0)], [_float("x")], [_float("y", [])])


def non_zero() -> bytes:
    """Indices of the elements that are not zero, INT64 [rank, count]: a zero dim when there are none."""
    return _model([helper.make_node("NonZero", ["x"], ["y"])], [_float("x")], [_value("y", TensorProto.INT64)])


def empty_rows(rows: int) -> bytes:
    """``y`` of shape [rows, 0], whatever ``x`` is."""
    shape = numpy_helper.from_array(np.array([rows, 0], dtype=np.int64), "s")
    return _model([helper.make_node("ConstantOfShape", ["s"], ["y"])], [_float("x")], [_float("y")], [shape])


# Time


def counting_loop() -> bytes:
    """``y = x + n`` in n iterations of a Loop (``n`` INT64, ``x`` FLOAT): runs as long as the caller likes.

    The engine looks at its terminate flag between the nodes of the body, so the run can be ended from outside.
    """
    nodes = [helper.make_node("Loop", ["n", "", "x"], ["y"], body=_counting_body())]
    return _model(nodes, [_value("n", TensorProto.INT64, [1]), _float("x")], [_float("y")])


# Batches


def batch_probe(dtype: str = "FLOAT", dims: Dims = ("n", "c"), inputs: int = 1) -> bytes:
    """``t``: the number of rows of the whole run, INT64 [n], in each row; then every input as it came.

    Inputs are ``a``, ``b`` ...; the rows are those of ``a``.
    """
    names = [chr(ord("a") + i) for i in range(inputs)]
    nodes = [
        helper.make_node("Shape", ["a"], ["rows"], start=0, end=1),
        helper.make_node("Expand", ["rows"] * 2, ["t"]),
    ]
    nodes += [helper.make_node("Identity", [name], [f"{name}o"]) for name in names]
    outputs = [_value("t", TensorProto.INT64)] + [_value(f"{name}o", DTYPES[dtype], dims) for name in names]
    return _model(nodes, [_value(name, DTYPES[dtype], dims) for name in names], outputs)


def fresh(model: bytes) -> bytes:
    """The same model in other bytes: one that no server has tried out yet."""
    text = secrets.token_hex(8).encode()
    # ModelProto.doc_string; of a field that comes twice the last counts.
    return model + bytes([6 << 3 | 2, len(text)]) + text


def sum_of_rows() -> bytes:
    """FLOAT [n, c] to [1, c]: cannot be batched."""
    axes = numpy_helper.from_array(np.array([0], dtype=np.int64), "axes")
    node = helper.make_node("ReduceSum", ["x", "axes"], ["y"], keepdims=1)
    return _model([node], [_float("x", ["n", "c"])], [_float("y", [1, "c"])], [axes])


def lookup(values: Sequence[float]) -> bytes:
    """``y`` = the value that ``x``, INT64 [n], is the index of; the run fails when there is no such value."""
    table = numpy_helper.from_array(np.array(values, dtype=np.float32), "v")
    node = helper.make_node("Gather", ["v", "x"], ["y"])
    return _model([node], [_value("x", TensorProto.INT64, ["n"])], [_float("y", ["n"])], [table])


def slow_rows() -> bytes:
    """``y = x + max(x)`` over FLOAT [n, c], in as many rounds as the largest element says: for many rows as for one."""
    nodes = [
        helper.make_node("ReduceMax", ["x"], ["most"], keepdims=0),
        helper.make_node("Cast", ["most"], ["n"], to=TensorProto.INT64),
        helper.make_node("Loop", ["n", "", "x"], ["y"], body=_counting_body()),
    ]
    return _model(nodes, [_float("x", ["n", "c"])], [_float("y", ["n", "c"])])


# Memory


def big_weights(megabytes: int) -> bytes:
    """``y = x + w`` with ``megabytes`` million bytes of weights: large to store."""
    weights = numpy_helper.from_array(np.zeros(megabytes * 250_000, dtype=np.float32), "w")
    return _model([helper.make_node("Add", ["x", "w"], ["y"])], [_float("x", [1])], [_float("y")], [weights])


def big_scratch() -> bytes:
    """``y = sum(ones(shape))``: small to store, allocates ``4 * product(shape)`` bytes while it runs."""
    ones = numpy_helper.from_array(np.ones(1, dtype=np.float32))
    nodes = [
        helper.make_node("ConstantOfShape", ["x"], ["ones"], value=ones),
        helper.make_node("ReduceSum", ["ones"], ["y"], keepdims=0),
    ]
    return _model(nodes, [_value("x", TensorProto.INT64, [1])], [_float("y", [])])


# External data: a file of the server's must never be read on behalf of a client


def external_initializer(location: str = "weights.bin") -> bytes:
    """An initializer whose bytes are said to be in a file."""
    return _model(
        [helper.make_node("Add", ["x", "w"], ["y"])], [_float("x")], [_float("y")], [_external("w", location)]
    )


def external_in_if(location: str = "weights.bin") -> bytes:
    """The same inside a branch of an If."""
    return _model([_if_node(_external("w", location))], [_float("x"), _value("c", TensorProto.BOOL, [])], [_float("y")])


def external_in_loop(location: str = "weights.bin") -> bytes:
    """The same inside the body of a Loop."""
    body = helper.make_graph(
        [helper.make_node("Add", ["xi", "w"], ["xo"]), helper.make_node("Identity", ["ci"], ["co"])],
        "body",
        [_value("i", TensorProto.INT64, []), _value("ci", TensorProto.BOOL, []), _float("xi")],
        [_value("co", TensorProto.BOOL, []), _float("xo")],
        [_external("w", location)],
    )
    return _model(
        [helper.make_node("Loop", ["n", "", "x"], ["y"], body=body)],
        [_value("n", TensorProto.INT64, []), _float("x")],
        [_float("y")],
    )


def external_in_constant(location: str = "weights.bin") -> bytes:
    """The same in the attribute of a Constant node."""
    nodes = [
        helper.make_node("Constant", [], ["w"], value=_external("w", location)),
        helper.make_node("Add", ["x", "w"], ["y"]),
    ]
    return _model(nodes, [_float("x")], [_float("y")])


def external_in_function(location: str = "weights.bin") -> bytes:
    """The same in a Constant of a model-local function."""
    body = [
        helper.make_node("Constant", [], ["w"], value=_external("w", location)),
        helper.make_node("Add", ["fx", "w"], ["fy"]),
    ]
    function = helper.make_function("local", "AddHidden", ["fx"], ["fy"], body, [helper.make_opsetid("", OPSET)])
    node = helper.make_node("AddHidden", ["x"], ["y"], domain="local")
    model = _model_proto([node], [_float("x")], [_float("y")], extra_domains=["local"])
    model.functions.append(function)
    return model.SerializeToString()


# Outputs that are not tensors


def sequence_output() -> bytes:
    """Outputs ``s``, a sequence of two tensors, and ``y``, the plain tensor."""
    nodes = [helper.make_node("SequenceConstruct", ["x", "x"], ["s"]), helper.make_node("Identity", ["x"], ["y"])]
    sequence = helper.make_tensor_sequence_value_info("s", TensorProto.FLOAT, None)
    return _model(nodes, [_float("x")], [sequence, _float("y")])


def zip_map(labels: Sequence[int] | Sequence[str]) -> bytes:
    """Outputs ``y``, the scores as given, and ``z``, the same as a sequence of maps label -> score.

    This is how scikit-learn classifiers are exported.
    """
    text = isinstance(labels[0], str)
    attribute = helper.make_attribute("classlabels_strings" if text else "classlabels_int64s", labels)
    zip_node = helper.make_node("ZipMap", ["y"], ["z"], domain="ai.onnx.ml")
    zip_node.attribute.append(attribute)
    nodes = [helper.make_node("Identity", ["x"], ["y"]), zip_node]
    key_type = TensorProto.STRING if text else TensorProto.INT64
    scores = helper.make_tensor_type_proto(TensorProto.FLOAT, [])
    maps = helper.make_sequence_type_proto(helper.make_map_type_proto(key_type, scores))
    return _model(
        nodes, [_float("x", ["n", len(labels)])], [_float("y", ["n", len(labels)]), helper.make_value_info("z", maps)]
    )


# Not models


def no_graph() -> bytes:
    """A model file without a graph: parses, means nothing."""
    return ModelProto(ir_version=IR_VERSION, opset_import=[helper.make_opsetid("", OPSET)]).SerializeToString()


NOT_PROTOBUF = b"this is not a model"


# Building blocks


def _value(name: str, element_type: int, dims: Dims = None) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, element_type, None if dims is None else list(dims))


def _float(name: str, dims: Dims = None) -> ValueInfoProto:
    return _value(name, TensorProto.FLOAT, dims)


def _external(name: str, location: str) -> TensorProto:
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[1], data_location=TensorProto.EXTERNAL)
    for key, value in (("location", location), ("offset", "0"), ("length", "4")):
        tensor.external_data.add(key=key, value=value)
    return tensor


def _counting_body() -> GraphProto:
    """The body of a Loop that adds 1."""
    condition_in, condition_out = _value("ci", TensorProto.BOOL, []), _value("co", TensorProto.BOOL, [])
    one = helper.make_node("Constant", [], ["one"], value=numpy_helper.from_array(np.array(1, dtype=np.float32)))
    step = helper.make_node("Add", ["xi", "one"], ["xo"])
    keep = helper.make_node("Identity", ["ci"], ["co"])
    return helper.make_graph(
        [one, step, keep],
        "body",
        [_value("i", TensorProto.INT64, []), condition_in, _float("xi")],
        [condition_out, _float("xo")],
    )


def _if_node(hidden: TensorProto) -> NodeProto:
    add = helper.make_graph([helper.make_node("Add", ["x", "w"], ["t"])], "then", [], [_float("t")], [hidden])
    keep = helper.make_graph([helper.make_node("Identity", ["x"], ["e"])], "else", [], [_float("e")])
    return helper.make_node("If", ["c"], ["y"], then_branch=add, else_branch=keep)


def _model_proto(
    nodes: Sequence[NodeProto],
    inputs: Sequence[ValueInfoProto],
    outputs: Sequence[ValueInfoProto],
    initializers: Sequence[TensorProto] = (),
    extra_domains: Sequence[str] = (),
) -> ModelProto:
    graph: GraphProto = helper.make_graph(nodes, "g", inputs, outputs, initializers)
    domains = [helper.make_opsetid("", OPSET)] + [helper.make_opsetid(domain, 1) for domain in extra_domains]
    if any(node.domain == "ai.onnx.ml" for node in nodes):
        domains.append(helper.make_opsetid("ai.onnx.ml", ML_OPSET))
    return helper.make_model(graph, opset_imports=domains, ir_version=IR_VERSION, producer_name="redisai-tests")


def _model(
    nodes: Sequence[NodeProto],
    inputs: Sequence[ValueInfoProto],
    outputs: Sequence[ValueInfoProto],
    initializers: Sequence[TensorProto] = (),
) -> bytes:
    return _model_proto(nodes, inputs, outputs, initializers).SerializeToString()
