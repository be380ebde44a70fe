"""Networks for scenarios of our own, which no other system runs."""

import functools

import numpy as np
from onnx import TensorProto, helper, numpy_helper

FEATURES, WIDE, CLASSES = 256, 768, 2


@functools.cache
def wide_network() -> bytes:
    """FLOAT [N, 256] to FLOAT [N, 2] through two layers of 768.

    A run mostly reads its 3.2 MB of weights, and a batch does so once.
    """
    random = np.random.default_rng(3)
    widths = (FEATURES, WIDE, WIDE, CLASSES)
    nodes, constants = [], []
    for layer, (rows, columns) in enumerate(zip(widths, widths[1:])):
        kernel = random.normal(0, rows**-0.5, (rows, columns)).astype(np.float32)
        bias = random.normal(0, 0.1, columns).astype(np.float32)
        constants += [numpy_helper.from_array(kernel, f"w{layer}"), numpy_helper.from_array(bias, f"b{layer}")]
        nodes.append(helper.make_node("Gemm", [f"x{layer}", f"w{layer}", f"b{layer}"], [f"y{layer}"]))
        nodes.append(helper.make_node("Relu", [f"y{layer}"], [f"x{layer + 1}"]))
    values = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", width])
        for name, width in (("x0", FEATURES), ("y2", CLASSES))
    ]
    graph = helper.make_graph(nodes[:-1], "wide", values[:1], values[1:], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return model.SerializeToString()
