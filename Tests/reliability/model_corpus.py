"""The model files that are damaged: small, of many kinds, and one real one."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from onnx import NodeProto, TensorProto, helper, numpy_helper
from support import onnx_models

_OPSET = 18
_IR_VERSION = 10


def small_models() -> dict[str, bytes]:
    """Name and file of every small model."""
    models = {
        "mul_by_weights": onnx_models.mul_by_weights(),
        "sum_and_difference": onnx_models.sum_and_difference(),
        "identity_string": onnx_models.identity("STRING"),
        "counting_loop": onnx_models.counting_loop(),
        "big_scratch": onnx_models.big_scratch(),
        "non_zero": onnx_models.non_zero(),
        "sequence_output": onnx_models.sequence_output(),
        "zip_map": onnx_models.zip_map(["a", "b"]),
        "external_in_function": onnx_models.external_in_function(),
        "convolution": convolution(),
        "lstm": lstm(),
        "shapes": shapes(),
        "selection": selection(),
        "strings": strings(),
        "attention": attention(),
    }
    models.update(scikit_learn())
    return models


def magika(folder: str | None = None) -> bytes:
    """A real model of 3 MB; its folder is named by REDISAI_MAGIKA."""
    return (Path(folder or os.environ["REDISAI_MAGIKA"]) / "model.onnx").read_bytes()


def convolution() -> bytes:
    """A small image network: Conv, BatchNormalization, Relu, MaxPool, Resize, Flatten, Gemm, Softmax."""
    nodes = [
        helper.make_node("Conv", ["x", "kernel", "bias"], ["c"], kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        helper.make_node("BatchNormalization", ["c", "bias", "bias", "bias", "variance"], ["b"]),
        helper.make_node("Relu", ["b"], ["r"]),
        helper.make_node("MaxPool", ["r"], ["p"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Resize", ["p", "", "scales"], ["s"], mode="linear"),
        helper.make_node("Flatten", ["s"], ["f"]),
        helper.make_node("Gemm", ["f", "dense", "dense_bias"], ["g"], transB=1, alpha=0.5),
        helper.make_node("Softmax", ["g"], ["y"], axis=-1),
    ]
    random = np.random.default_rng(1)
    weights = {
        "kernel": random.normal(size=(4, 1, 3, 3)),
        "bias": random.normal(size=4),
        "variance": np.ones(4),
        "scales": np.array([1, 1, 2, 2]),
        "dense": random.normal(size=(3, 4 * 8 * 8)),
        "dense_bias": np.zeros(3),
    }
    return _model(nodes, [("x", TensorProto.FLOAT, ["n", 1, 8, 8])], [("y", TensorProto.FLOAT)], _floats(weights))


def lstm() -> bytes:
    """A sequence network: LSTM, GRU, Squeeze, LayerNormalization."""
    nodes = [
        helper.make_node("LSTM", ["x", "w", "r", "b"], ["h", "", ""], hidden_size=4),
        helper.make_node("Squeeze", ["h", "axis"], ["q"]),
        helper.make_node("GRU", ["q", "gw", "gr"], ["", "g"], hidden_size=2, direction="bidirectional"),
        helper.make_node("LayerNormalization", ["g", "scale"], ["y"], axis=-1),
    ]
    random = np.random.default_rng(2)
    weights = {
        "w": random.normal(size=(1, 16, 3)),
        "r": random.normal(size=(1, 16, 4)),
        "b": random.normal(size=(1, 32)),
        "gw": random.normal(size=(2, 6, 4)),
        "gr": random.normal(size=(2, 6, 2)),
        "scale": np.ones(2),
    }
    axis = [numpy_helper.from_array(np.array([1], dtype=np.int64), "axis")]
    return _model(nodes, [("x", TensorProto.FLOAT, ["t", "n", 3])], [("y", TensorProto.FLOAT)], _floats(weights) + axis)


def shapes() -> bytes:
    """What takes its shape from data: Reshape, Expand, Tile, Range, Slice, Pad, Concat, Split, Transpose, Einsum."""
    nodes = [
        helper.make_node("Shape", ["x"], ["s"]),
        helper.make_node("Reshape", ["x", "flat"], ["r"]),
        helper.make_node("Tile", ["r", "repeats"], ["t"]),
        helper.make_node("Slice", ["t", "starts", "ends"], ["l"]),
        helper.make_node("Pad", ["l", "pads"], ["p"]),
        helper.make_node("Concat", ["p", "t"], ["c"], axis=0),
        helper.make_node("Expand", ["c", "target"], ["e"]),
        helper.make_node("Transpose", ["e"], ["tr"], perm=[1, 0]),
        helper.make_node("Einsum", ["e", "tr"], ["en"], equation="ij,jk->ik"),
        helper.make_node("Split", ["en"], ["y", "rest"], axis=0, num_outputs=2),
        helper.make_node("Range", ["zero", "limit", "one"], ["z"]),
    ]
    integers = {
        "flat": [-1],
        "repeats": [2],
        "starts": [0],
        "ends": [5],
        "pads": [1, 1],
        "target": [2, 1],
        "zero": 0,
        "limit": 10,
        "one": 1,
    }
    outputs = [("y", TensorProto.FLOAT), ("rest", TensorProto.FLOAT)]
    outputs += [("z", TensorProto.INT64), ("s", TensorProto.INT64)]
    return _model(nodes, [("x", TensorProto.FLOAT, ["a", "b"])], outputs, _integers(integers))


def selection() -> bytes:
    """What takes positions from data: Gather, ScatterND, TopK, OneHot, NonMaxSuppression, CumSum, Where, Compress."""
    nodes = [
        helper.make_node("Gather", ["table", "i"], ["g"], axis=0),
        helper.make_node("GatherElements", ["table", "positions"], ["ge"], axis=1),
        helper.make_node("ScatterND", ["table", "positions", "updates"], ["sc"]),
        helper.make_node("TopK", ["g", "k"], ["values", "indices"], axis=-1),
        helper.make_node("OneHot", ["i", "depth", "on_off"], ["hot"]),
        helper.make_node("NonMaxSuppression", ["boxes", "scores", "depth"], ["nms"]),
        helper.make_node("CumSum", ["g", "axis"], ["cs"]),
        helper.make_node("Compress", ["g", "mask"], ["co"], axis=0),
    ]
    random = np.random.default_rng(3)
    weights = {
        "table": random.normal(size=(6, 3)),
        "updates": random.normal(size=(1,)),
        "on_off": np.array([0.0, 1.0]),
        "boxes": random.normal(size=(1, 4, 4)),
        "scores": random.normal(size=(1, 2, 4)),
    }
    integers = {"positions": [[0, 1]], "k": [2], "depth": 4, "axis": 0}
    mask = [numpy_helper.from_array(np.array([True, False]), "mask")]
    outputs = [(name, TensorProto.FLOAT) for name in ("values", "ge", "sc", "hot", "cs", "co")]
    outputs += [("indices", TensorProto.INT64), ("nms", TensorProto.INT64)]
    initializers = _floats(weights) + _integers(integers) + mask
    return _model(nodes, [("i", TensorProto.INT64, ["n"])], outputs, initializers)


def strings() -> bytes:
    """Text: StringNormalizer, LabelEncoder, TfIdfVectorizer."""
    nodes = [
        helper.make_node("StringNormalizer", ["x"], ["n"], case_change_action="LOWER", stopwords=["b"], locale="C"),
        helper.make_node(
            "LabelEncoder",
            ["n"],
            ["l"],
            domain="ai.onnx.ml",
            keys_strings=["a", "c"],
            values_int64s=[1, 2],
            default_int64=0,
        ),
        helper.make_node(
            "TfIdfVectorizer",
            ["l"],
            ["y"],
            mode="TF",
            min_gram_length=1,
            max_gram_length=2,
            max_skip_count=1,
            ngram_counts=[0, 2],
            ngram_indexes=[0, 1, 2],
            pool_int64s=[1, 2, 1, 2],
        ),
    ]
    return _model(nodes, [("x", TensorProto.STRING, ["n"])], [("y", TensorProto.FLOAT)], [])


def attention() -> bytes:
    """The engine's own fused operators, which trust their attributes: com.microsoft Attention, FastGelu, QLinear."""
    nodes = [
        helper.make_node("Attention", ["x", "w", "b"], ["a"], domain="com.microsoft", num_heads=2),
        helper.make_node("FastGelu", ["a"], ["f"], domain="com.microsoft"),
        helper.make_node("DynamicQuantizeLinear", ["f"], ["q", "qs", "qz"]),
        helper.make_node("DequantizeLinear", ["q", "qs", "qz"], ["y"]),
    ]
    random = np.random.default_rng(4)
    weights = {"w": random.normal(size=(4, 12)), "b": random.normal(size=12)}
    return _model(nodes, [("x", TensorProto.FLOAT, ["n", "t", 4])], [("y", TensorProto.FLOAT)], _floats(weights))


def scikit_learn() -> dict[str, bytes]:
    """Exported tree ensembles and a nearest-neighbour search."""
    from skl2onnx import to_onnx
    from sklearn.ensemble import GradientBoostingClassifier, RandomForestRegressor
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.svm import SVR

    random = np.random.default_rng(5)
    features = random.normal(size=(40, 3)).astype(np.float32)
    labels = (features.sum(axis=1) > 0).astype(int)
    estimators = {
        "forest": RandomForestRegressor(n_estimators=3, max_depth=3, random_state=1),
        "boosting": GradientBoostingClassifier(n_estimators=3, max_depth=2, random_state=1),
        "neighbours": KNeighborsClassifier(n_neighbors=2),
        "vectors": SVR(),
    }
    return {
        name: to_onnx(estimator.fit(features, labels), features[:1]).SerializeToString()
        for name, estimator in estimators.items()
    }


# Building blocks


def _floats(weights: dict[str, np.ndarray]) -> list[TensorProto]:
    return [numpy_helper.from_array(array.astype(np.float32), name) for name, array in weights.items()]


def _integers(values: dict[str, object]) -> list[TensorProto]:
    return [numpy_helper.from_array(np.array(value, dtype=np.int64), name) for name, value in values.items()]


def _model(
    nodes: Sequence[NodeProto],
    inputs: Sequence[tuple[str, int, Sequence[str | int]]],
    outputs: Sequence[tuple[str, int]],
    initializers: Sequence[TensorProto],
) -> bytes:
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info(*entry) for entry in inputs],
        [helper.make_tensor_value_info(name, element_type, None) for name, element_type in outputs],
        initializers,
    )
    domains = [helper.make_opsetid("", _OPSET)]
    domains += [helper.make_opsetid("ai.onnx.ml", 3), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=domains, ir_version=_IR_VERSION).SerializeToString()
