"""Builds all-MiniLM-L6-v2 (a sentence-embedding BERT, about 90 MB) as one ONNX model from its published weights.

No torch: the weights are a safetensors file, and the network is short enough to be written down here. The graph holds
everything after tokenisation: encoder, mean pooling over the attention mask, L2 normalisation.

    inputs   input_ids, attention_mask, token_type_ids   INT64 [batch, sequence]
    output   embedding                                   FLOAT [batch, 384]
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

INPUT_NAMES = ("input_ids", "attention_mask", "token_type_ids")
OUTPUT_NAME = "embedding"
OPSET = 17
IR_VERSION = 8


def minilm_onnx_bytes(folder: str | os.PathLike[str], cache: str | os.PathLike[str] | None = None) -> bytes:
    """The model as bytes, built once per version of the weights and of this file and then read from the cache."""
    source = Path(folder)
    cached = cache_file(source, Path(cache) if cache else Path(tempfile.gettempdir()))
    if not cached.exists():
        config = json.loads((source / "config.json").read_text(encoding="utf-8"))
        blob = build_model(read_safetensors(source / "model.safetensors"), config).SerializeToString()
        write_atomically(cached, blob)
    return cached.read_bytes()


def cache_file(folder: Path, cache: Path) -> Path:
    """A name that changes with anything the result depends on, so that a stale file is never read."""
    weights = (folder / "model.safetensors").stat()
    parts = (Path(__file__).read_text(encoding="utf-8"), onnx.__version__, weights.st_size, weights.st_mtime_ns)
    digest = hashlib.sha256(repr(parts).encode()).hexdigest()[:16]
    return cache / f"redisai-tests-{os.getuid()}-minilm-{digest}.onnx"


def write_atomically(path: Path, content: bytes) -> None:
    """Another test process sees no file or the whole file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    os.replace(temporary, path)


def read_safetensors(path: Path) -> dict[str, np.ndarray]:
    """The FLOAT tensors of a safetensors file: a length, a JSON header with offsets, the raw data."""
    content = path.read_bytes()
    (header_size,) = struct.unpack_from("<Q", content)
    header = json.loads(content[8 : 8 + header_size])
    data = memoryview(content)[8 + header_size :]
    tensors = {}
    for name, entry in header.items():
        if entry.get("dtype") == "F32":
            begin, end = entry["data_offsets"]
            tensors[name] = np.frombuffer(data[begin:end], dtype="<f4").reshape(entry["shape"])
    return tensors


class GraphBuilder:
    """Collects nodes and initializers; every method returns the name of the value it made."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: dict[str, onnx.TensorProto] = {}

    def op(self, kind: str, *inputs: str, **attributes: object) -> str:
        output = f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [output], name=output, **attributes))
        return output

    def constant(self, name: str, array: np.ndarray) -> str:
        if name not in self.initializers:
            self.initializers[name] = numpy_helper.from_array(np.ascontiguousarray(array), name)
        return name

    def scalar(self, value: float) -> str:
        return self.constant(f"scalar_{value!r}", np.array(value, dtype=np.float32))

    def integers(self, *values: int) -> str:
        return self.constant("integers_" + "_".join(map(str, values)), np.array(values, dtype=np.int64))


class BertBuilder:
    """Writes the network down, one method per block of the architecture."""

    def __init__(self, weights: Mapping[str, np.ndarray], config: Mapping[str, object]) -> None:
        self.graph = GraphBuilder()
        self.weights = weights
        self.layers = int(config["num_hidden_layers"])
        self.heads = int(config["num_attention_heads"])
        self.hidden = int(config["hidden_size"])
        self.epsilon = float(config["layer_norm_eps"])

    def embedding(self) -> str:
        """The whole network; returns the name of the normalised sentence vector."""
        mask = self.graph.op("Cast", "attention_mask", to=TensorProto.FLOAT)
        bias = self._attention_bias(mask)
        state = self._token_embeddings()
        for layer in range(self.layers):
            state = self._layer(f"encoder.layer.{layer}", state, bias)
        return self._unit_length(self._mean(state, mask))

    def _weight(self, name: str) -> str:
        return self.graph.constant(name, self.weights[name])

    def _token_embeddings(self) -> str:
        op, integers = self.graph.op, self.graph.integers
        words = op("Gather", self._weight("embeddings.word_embeddings.weight"), "input_ids")
        types = op("Gather", self._weight("embeddings.token_type_embeddings.weight"), "token_type_ids")
        length = op("Shape", "input_ids", start=1, end=2)
        table = self._weight("embeddings.position_embeddings.weight")
        positions = op("Slice", table, integers(0), length, integers(0))
        return self._layer_norm("embeddings.LayerNorm", op("Add", op("Add", words, types), positions))

    def _attention_bias(self, mask: str) -> str:
        """Zero where there is a token and a huge negative number where there is padding: [batch, 1, 1, sequence]."""
        op, scalar = self.graph.op, self.graph.scalar
        padding = op("Unsqueeze", op("Sub", scalar(1.0), mask), self.graph.integers(1, 2))
        return op("Mul", padding, scalar(float(np.finfo(np.float32).min)))

    def _layer(self, name: str, state: str, bias: str) -> str:
        op = self.graph.op
        attended = self._linear(
            f"{name}.attention.output.dense", self._attention(f"{name}.attention.self", state, bias)
        )
        state = self._layer_norm(f"{name}.attention.output.LayerNorm", op("Add", attended, state))
        inner = self._gelu(self._linear(f"{name}.intermediate.dense", state))
        return self._layer_norm(
            f"{name}.output.LayerNorm", op("Add", self._linear(f"{name}.output.dense", inner), state)
        )

    def _attention(self, name: str, state: str, bias: str) -> str:
        op, scale = self.graph.op, self.graph.scalar(float(np.sqrt(self.hidden // self.heads)))
        query, key, value = (self._linear(f"{name}.{part}", state) for part in ("query", "key", "value"))
        scores = op("MatMul", self._split_heads(query, (0, 2, 1, 3)), self._split_heads(key, (0, 2, 3, 1)))
        shares = op("Softmax", op("Add", op("Div", scores, scale), bias), axis=-1)
        context = op("MatMul", shares, self._split_heads(value, (0, 2, 1, 3)))
        return op("Reshape", op("Transpose", context, perm=(0, 2, 1, 3)), self.graph.integers(0, 0, self.hidden))

    def _split_heads(self, state: str, order: tuple[int, ...]) -> str:
        shape = self.graph.integers(0, 0, self.heads, self.hidden // self.heads)
        return self.graph.op("Transpose", self.graph.op("Reshape", state, shape), perm=order)

    def _linear(self, name: str, state: str) -> str:
        weight = self.graph.constant(f"{name}.weight", self.weights[f"{name}.weight"].T)
        return self.graph.op("Add", self.graph.op("MatMul", state, weight), self._weight(f"{name}.bias"))

    def _layer_norm(self, name: str, state: str) -> str:
        scale, bias = self._weight(f"{name}.weight"), self._weight(f"{name}.bias")
        return self.graph.op("LayerNormalization", state, scale, bias, axis=-1, epsilon=self.epsilon)

    def _gelu(self, state: str) -> str:
        op, scalar = self.graph.op, self.graph.scalar
        erf = op("Erf", op("Div", state, scalar(float(np.sqrt(2.0)))))
        return op("Mul", op("Mul", state, op("Add", erf, scalar(1.0))), scalar(0.5))

    def _mean(self, state: str, mask: str) -> str:
        """The mean over the tokens that are no padding."""
        op, axis = self.graph.op, self.graph.integers(1)
        total = op("ReduceSum", op("Mul", state, op("Unsqueeze", mask, self.graph.integers(2))), axis, keepdims=0)
        count = op("Max", op("ReduceSum", mask, axis, keepdims=1), self.graph.scalar(1e-9))
        return op("Div", total, count)

    def _unit_length(self, vector: str) -> str:
        op = self.graph.op
        length = op("Max", op("ReduceL2", vector, axes=[-1], keepdims=1), self.graph.scalar(1e-12))
        return op("Div", vector, length)


def build_model(weights: Mapping[str, np.ndarray], config: Mapping[str, object]) -> onnx.ModelProto:
    """The checked model; only the weights that the embedding needs are in it."""
    builder = BertBuilder(weights, config)
    builder.graph.nodes.append(helper.make_node("Identity", [builder.embedding()], [OUTPUT_NAME]))
    inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "sequence"]) for name in INPUT_NAMES]
    outputs = [helper.make_tensor_value_info(OUTPUT_NAME, TensorProto.FLOAT, ["batch", builder.hidden])]
    initializers = list(builder.graph.initializers.values())
    graph = helper.make_graph(builder.graph.nodes, "all-MiniLM-L6-v2", inputs, outputs, initializers)
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="redisai-tests"
    )
    onnx.checker.check_model(model)
    return model
