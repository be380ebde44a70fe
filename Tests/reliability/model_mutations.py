"""Damages model files: blindly, byte by byte, and knowingly, through the protobuf messages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random

from google.protobuf.message import DecodeError
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, defs, helper

NUMBERS = (
    [0, 1, -1, 2, 3, 7, 127, 128, 255, 1000, 65536, 2**20, 2**31 - 1, 2**31, -(2**31), 2**32, 10**9]
    + [4611686018427387905, 2**62, 2**63 - 1, -(2**63)]
)
_FLOATS = [0.0, -1.0, 1e-30, 1e30, float("inf"), float("-inf"), float("nan")]
TEXTS = ["", "x", "\0", "a" * 5000, "../../etc/passwd", "%s%n", "é\u202e", "NOTSET", "SAME_UPPER", "linear"]
_OPERATORS = sorted({(schema.name, schema.domain) for schema in defs.get_all_schemas()})


def damage(blob: bytes, random: Random) -> bytes:
    """A damaged copy of a model file."""
    # Most bytes are structure: a file damaged blindly is seldom more than a parser's problem.
    if random.random() < 0.12:
        return damage_bytes(blob, random)
    try:
        model = ModelProto.FromString(blob)
    except DecodeError:
        return damage_bytes(blob, random)
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        random.choice(_KNOWING)(model, random)
    damaged = model.SerializeToString()
    return damaged if random.random() < 0.97 else damage_bytes(damaged, random)


# Bytes


def damage_bytes(blob: bytes, random: Random) -> bytes:
    data = bytearray(blob)
    for _ in range(random.choice((1, 1, 2, 8))):
        random.choice(_BLIND)(data, random)
    return bytes(data)


def _flip_bits(data: bytearray, random: Random) -> None:
    for _ in range(random.choice((1, 1, 4, 32))):
        if data:
            data[random.randrange(len(data))] ^= 1 << random.randrange(8)


def _truncate(data: bytearray, random: Random) -> None:
    del data[random.randrange(len(data) + 1) :]


def _piece(data: bytearray, random: Random) -> slice:
    start = random.randrange(len(data) + 1)
    return slice(start, start + random.choice((1, 2, 4, 16, 64, 1000)))


def _duplicate(data: bytearray, random: Random) -> None:
    piece = _piece(data, random)
    data[piece.start : piece.start] = data[piece]


def _remove(data: bytearray, random: Random) -> None:
    del data[_piece(data, random)]


def _overwrite(data: bytearray, random: Random) -> None:
    piece = _piece(data, random)
    length = len(data[piece])
    data[piece] = random.choice((b"\xff" * length, b"\0" * length, random.randbytes(length)))


_BLIND: list[Callable[[bytearray, Random], None]] = [_flip_bits, _flip_bits, _truncate, _duplicate, _remove, _overwrite]


# Messages


def _graphs(graph: GraphProto) -> Iterator[GraphProto]:
    """The graph and those in its nodes' attributes."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _graphs(attribute.g)


def _graph(model: ModelProto, random: Random) -> GraphProto:
    return random.choice(list(_graphs(model.graph)))


def _node(model: ModelProto, random: Random) -> NodeProto | None:
    nodes = list(_graph(model, random).node)
    return random.choice(nodes) if nodes else None


def _tensor(model: ModelProto, random: Random) -> TensorProto | None:
    """An initializer or the value of an attribute."""
    tensors = []
    for graph in _graphs(model.graph):
        tensors += graph.initializer
        tensors += [a.t for node in graph.node for a in node.attribute if a.type == AttributeProto.TENSOR]
    return random.choice(tensors) if tensors else None


def _change_dims(model: ModelProto, random: Random) -> None:
    tensor = _tensor(model, random)
    if tensor is None:
        return
    if tensor.dims and random.random() < 0.6:
        tensor.dims[random.randrange(len(tensor.dims))] = random.choice(NUMBERS)
    else:
        tensor.dims.extend(random.choice(NUMBERS) for _ in range(random.choice((1, 1, 2, 8, 100))))


def _change_type(model: ModelProto, random: Random) -> None:
    tensor = _tensor(model, random)
    if tensor is not None:
        tensor.data_type = random.choice((*range(26), 99, -1))


def _change_data(model: ModelProto, random: Random) -> None:
    tensor = _tensor(model, random)
    if tensor is None:
        return
    data = bytearray(tensor.raw_data)
    damage_kind = random.randrange(4)
    if damage_kind == 0:
        tensor.ClearField("raw_data")
    elif damage_kind == 1 and data:
        tensor.raw_data = bytes(data[: random.randrange(len(data))])
    elif damage_kind == 2:
        tensor.raw_data = random.randbytes(len(data) or 8)
    else:
        tensor.float_data.extend([1.0] * random.choice((1, 100)))
        tensor.int64_data.extend([random.choice(NUMBERS)])


def _change_integers(model: ModelProto, random: Random) -> None:
    """INT64 initializers are shapes, axes and positions."""
    tensors = [t for g in _graphs(model.graph) for t in g.initializer if t.data_type == TensorProto.INT64]
    if tensors:
        tensor = random.choice(tensors)
        count = len(tensor.raw_data) // 8 or 1
        tensor.raw_data = b"".join(random.choice(NUMBERS).to_bytes(8, "little", signed=True) for _ in range(count))


def _make_external(model: ModelProto, random: Random) -> None:
    tensor = _tensor(model, random)
    if tensor is not None:
        tensor.data_location = TensorProto.EXTERNAL
        location = random.choice(("weights.bin", "/etc/passwd", "../x", "*/_ORT_MEM_ADDR_/*", "/dev/zero", ""))
        for key, value in (("location", location), ("offset", "0"), ("length", random.choice(("4", "-1", str(2**63))))):
            tensor.external_data.add(key=key, value=value)
        if random.random() < 0.5:
            tensor.ClearField("raw_data")


def _change_operator(model: ModelProto, random: Random) -> None:
    node = _node(model, random)
    if node is not None:
        node.op_type, node.domain = random.choice(_OPERATORS)


def _rewire(model: ModelProto, random: Random) -> None:
    """An input comes from somewhere else: another type, a cycle, nowhere."""
    graph = _graph(model, random)
    names = [name for node in graph.node for name in (*node.output, *node.input)] + ["", "nowhere"]
    node = _node(model, random)
    if node is None:
        return
    if node.input and random.random() < 0.8:
        node.input[random.randrange(len(node.input))] = random.choice(names)
    else:
        node.input.extend(random.choices(names, k=random.choice((1, 1, 3, 200))))


def _change_outputs(model: ModelProto, random: Random) -> None:
    node = _node(model, random)
    if node is None:
        return
    if random.random() < 0.5 and node.output:
        del node.output[random.randrange(len(node.output))]
    else:
        node.output.extend(random.choice(("", "extra", "y", "x")) for _ in range(random.choice((1, 1, 50))))


def _change_attribute(model: ModelProto, random: Random) -> None:
    attributes = [a for g in _graphs(model.graph) for node in g.node for a in node.attribute]
    if not attributes:
        return _add_attribute(model, random)
    attribute = random.choice(attributes)
    if attribute.type == AttributeProto.INT:
        attribute.i = random.choice(NUMBERS)
    elif attribute.type == AttributeProto.FLOAT:
        attribute.f = random.choice(_FLOATS)
    elif attribute.type == AttributeProto.STRING:
        attribute.s = random.choice(TEXTS).encode()
    elif attribute.type == AttributeProto.INTS:
        _change_list(attribute.ints, NUMBERS, random)
    elif attribute.type == AttributeProto.FLOATS:
        _change_list(attribute.floats, _FLOATS, random)
    elif attribute.type == AttributeProto.STRINGS:
        _change_list(attribute.strings, [text.encode() for text in TEXTS], random)
    else:
        attribute.type = random.choice((0, 1, 2, 6, 7, 10, 14))


def _change_list(values, replacements: list, random: Random) -> None:  # type: ignore[no-untyped-def, type-arg]
    kind = random.randrange(4)
    if kind == 0 and values:
        values[random.randrange(len(values))] = random.choice(replacements)
    elif kind == 1 and values:
        del values[random.randrange(len(values)) :]
    elif kind == 2:
        values.extend(random.choices(replacements, k=random.choice((1, 2, 100))))
    else:
        for index in range(len(values)):
            values[index] = random.choice(replacements)


def _add_attribute(model: ModelProto, random: Random) -> None:
    node = _node(model, random)
    if node is not None:
        value = random.choice([random.choice(NUMBERS), random.choice(_FLOATS), "text", random.choices(NUMBERS, k=3)])
        name = random.choice(("axis", "axes", "pads", "perm", "kernel_shape", "group", "to", "num_heads", "k", "other"))
        node.attribute.append(helper.make_attribute(name, value))


def _remove_attribute(model: ModelProto, random: Random) -> None:
    node = _node(model, random)
    if node is not None and node.attribute:
        del node.attribute[random.randrange(len(node.attribute))]


def _change_nodes(model: ModelProto, random: Random) -> None:
    """A node twice, gone, or in the wrong place."""
    graph = _graph(model, random)
    if not graph.node:
        return
    nodes = list(graph.node)
    kind = random.randrange(4)
    if kind == 0:
        nodes.append(random.choice(nodes))
    elif kind == 1:
        del nodes[random.randrange(len(nodes))]
    elif kind == 2:
        random.shuffle(nodes)
    else:
        nodes += [random.choice(nodes)] * 50
    copies = [NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(copies)


def _change_interface(model: ModelProto, random: Random) -> None:
    """Inputs and outputs of the graph: gone, twice, of another name, type or shape."""
    graph = _graph(model, random)
    values = random.choice((graph.input, graph.output, graph.value_info))
    if not values:
        return
    value = random.choice(values)
    kind = random.randrange(6)
    if kind == 0:
        values.remove(value)
    elif kind == 1:
        values.add().CopyFrom(value)
    elif kind == 2:
        value.name = random.choice(("", "x", "y", "a" * 5000, "nowhere"))
    elif kind == 3:
        value.type.tensor_type.elem_type = random.choice((*range(26), 99))
    elif kind == 4:
        value.type.tensor_type.shape.dim.add(dim_value=random.choice(NUMBERS))
    else:
        value.ClearField("type")


def _change_versions(model: ModelProto, random: Random) -> None:
    if random.random() < 0.3:
        model.ir_version = random.choice(NUMBERS)
    elif model.opset_import:
        random.choice(model.opset_import).version = random.choice((*NUMBERS, 5, 6, 9, 10, 11, 13, 17, 21, 24, 30))


def _add_bomb(model: ModelProto, random: Random) -> None:
    """A small file that asks for a huge tensor, in one of the operators whose shape comes from data."""
    size = random.choice((2**27, 2**30, 2**33, 2**40, 2**62, 2**63 - 1))
    graph = model.graph
    for name, values in (("bomb_shape", [size]), ("bomb_start", 0), ("bomb_end", size), ("bomb_step", 1)):
        dims = [len(values)] if isinstance(values, list) else []
        data = values if isinstance(values, list) else [values]
        graph.initializer.append(helper.make_tensor(name, TensorProto.INT64, dims, data))
    graph.initializer.append(helper.make_tensor("bomb_one", TensorProto.FLOAT, [1], [1.0]))
    node = random.choice(
        (
            helper.make_node("ConstantOfShape", ["bomb_shape"], ["bomb"]),
            helper.make_node("Tile", ["bomb_one", "bomb_shape"], ["bomb"]),
            helper.make_node("Expand", ["bomb_one", "bomb_shape"], ["bomb"]),
            helper.make_node("Range", ["bomb_start", "bomb_end", "bomb_step"], ["bomb"]),
            helper.make_node("Pad", ["bomb_one", "bomb_pads"], ["bomb"]),
        )
    )
    graph.initializer.append(helper.make_tensor("bomb_pads", TensorProto.INT64, [2], [size // 2, size // 2]))
    graph.node.append(node)
    element_type = TensorProto.INT64 if node.op_type == "Range" else TensorProto.FLOAT
    graph.output.append(helper.make_tensor_value_info("bomb", element_type, None))


def _nest(model: ModelProto, random: Random) -> None:
    """The graph inside branches of If nodes, some hundreds deep: parsers recurse."""
    inner = GraphProto()
    inner.output.append(helper.make_tensor_value_info("deep", TensorProto.FLOAT, None))
    inner.node.append(helper.make_node("Constant", [], ["deep"], value_float=1.0))
    for _ in range(random.choice((3, 20, 45, 200))):
        outer = GraphProto(name="nested")
        outer.node.append(helper.make_node("Constant", [], ["condition"], value_int=1))
        outer.node.append(helper.make_node("Cast", ["condition"], ["boolean"], to=TensorProto.BOOL))
        outer.node.append(helper.make_node("If", ["boolean"], ["deep"], then_branch=inner, else_branch=inner))
        if outer.ByteSize() > 1_000_000:
            break
        outer.output.append(helper.make_tensor_value_info("deep", TensorProto.FLOAT, None))
        inner = outer
    model.graph.node.extend(inner.node)


def _add_function(model: ModelProto, random: Random) -> None:
    """A model-local function that calls itself, or nothing, or takes the place of an operator."""
    name, domain = random.choice((("F", "local"), ("Add", ""), ("Mul", "")))
    callee = random.choice((name, "Nothing"))
    body = [helper.make_node(callee, ["a"], ["b"], domain=domain)]
    function = helper.make_function(domain, name, ["a"], ["b"], body, [helper.make_opsetid("", 18)])
    model.functions.append(function)
    model.opset_import.add(domain=domain, version=1)
    if model.graph.input:
        model.graph.node.append(helper.make_node(name, [model.graph.input[0].name], ["called"], domain=domain))


def _make_sparse(model: ModelProto, random: Random) -> None:
    """A sparse initializer whose positions are beyond its shape."""
    values = helper.make_tensor("sparse", TensorProto.FLOAT, [2], [1.0, 2.0])
    positions = helper.make_tensor("positions", TensorProto.INT64, [2], random.choices(NUMBERS, k=2))
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, positions, [random.choice(NUMBERS)]))
    node = _node(model, random)
    if node is not None and node.input:
        node.input[0] = "sparse"


# What leaves a model in one piece but asks the engine for the impossible comes more often.
_KNOWING: list[Callable[[ModelProto, Random], None]] = [
    *[_change_attribute] * 10,
    *[_change_integers] * 6,
    *[_change_data] * 3,
    *[_change_dims] * 2,
    *[_change_operator] * 3,
    *[_rewire] * 3,
    *[_change_interface] * 2,
    *[_add_attribute] * 2,
    *[_remove_attribute] * 2,
    _change_type,
    _change_outputs,
    _change_nodes,
    _change_versions,
    _make_external,
    _add_bomb,
    _nest,
    _add_function,
    _make_sparse,
]
