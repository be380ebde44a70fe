"""One fraud network in the formats of all engines, from one set of weights, and the same in plain numpy.

    inputs   transaction FLOAT [N, 30], reference FLOAT [N, 256]
    output   FLOAT [N, 2], the probabilities of "honest" and "fraud"

The reference may have 256 values or more, of which the network takes 256 from the middle, as one takes some fields of a
record; or 0, and then the network has no such input and scores the transaction alone, with the weights that belong to it.
"""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from support.tf_models import archive
from support.workshop import handed_over, made_with_tensorflow, made_with_torch

INPUTS = {"transaction": 30, "reference": 256}
OUTPUT = "output"
HIDDEN = (64, 32)
CLASSES = 2
SEED = 20241


def weights(reference: int = INPUTS["reference"]) -> dict[str, np.ndarray]:
    """`kernel0`, `bias0` and so on, in order; kernels are [inputs, outputs]."""
    arrays = _weights()
    return arrays if reference else arrays | {"kernel0": arrays["kernel0"][: INPUTS["transaction"]]}


@functools.cache
def _weights() -> dict[str, np.ndarray]:
    generator = np.random.default_rng(SEED)
    widths = (sum(INPUTS.values()), *HIDDEN, CLASSES)
    arrays = {}
    for layer, (rows, columns) in enumerate(zip(widths, widths[1:])):
        arrays[f"kernel{layer}"] = generator.normal(0, rows**-0.5, (rows, columns)).astype(np.float32)
        arrays[f"bias{layer}"] = generator.normal(0, 0.1, columns).astype(np.float32)
    return arrays


def samples(count: int) -> dict[str, np.ndarray]:
    """The two inputs for that many transactions, by their names."""
    generator = np.random.default_rng(count)
    return {name: generator.normal(0, 1, (count, width)).astype(np.float32) for name, width in INPUTS.items()}


def answers(transaction: np.ndarray, reference: np.ndarray | None) -> np.ndarray:
    """What the network says, computed in double precision."""
    values = 0 if reference is None else reference.shape[1]
    features = transaction if reference is None else np.hstack([transaction, reference[:, taken(values)]])
    arrays, last = weights(values), len(HIDDEN)
    state = features.astype(np.float64)
    for layer in range(last):
        state = np.maximum(state @ arrays[f"kernel{layer}"] + arrays[f"bias{layer}"], 0)
    logits = state @ arrays[f"kernel{last}"] + arrays[f"bias{last}"]
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def taken(reference: int) -> slice:
    """Which of that many values of reference data the network takes."""
    count = INPUTS["reference"]
    assert reference >= count, f"{reference} values are fewer than the network takes"
    first = (reference - count) // 2
    return slice(first, first + count)


def input_widths(reference: int) -> dict[str, int]:
    """The inputs of the network for that many values of reference data."""
    return {"transaction": INPUTS["transaction"]} | ({"reference": reference} if reference else {})


def onnx_model(reference: int = INPUTS["reference"]) -> bytes:
    widths, constants = input_widths(reference), weights(reference)
    features = list(widths)
    nodes = []
    if reference > INPUTS["reference"]:
        constants = constants | {
            name: np.array([value], np.int64)
            for name, value in (("first", taken(reference).start), ("end", taken(reference).stop), ("axis", 1))
        }
        nodes.append(helper.make_node("Slice", ["reference", "first", "end", "axis"], ["picked"]))
        features[1] = "picked"
    nodes.append(helper.make_node("Concat", features, ["state0"], axis=1))
    last = len(HIDDEN)
    for layer in range(last + 1):
        nodes.append(helper.make_node("Gemm", [f"state{layer}", f"kernel{layer}", f"bias{layer}"], [f"sum{layer}"]))
        if layer < last:
            nodes.append(helper.make_node("Relu", [f"sum{layer}"], [f"state{layer + 1}"]))
    nodes.append(helper.make_node("Softmax", [f"sum{last}"], [OUTPUT], axis=1))
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", width]) for name, width in widths.items()]
    outputs = [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["N", CLASSES])]
    initializers = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    graph = helper.make_graph(nodes, "fraud", inputs, outputs, initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return model.SerializeToString()


def frozen_graph() -> bytes:
    """A GraphDef with the Placeholders `transaction` and `reference` and the node `output`."""
    return (_of_tensorflow() / "frozen.pb").read_bytes()


def saved_model() -> bytes:
    """A SavedModel with these names in its signature, as a tar archive."""
    return archive(_of_tensorflow() / "saved_model")


def tflite_model() -> bytes:
    return (_of_tensorflow() / "model.tflite").read_bytes()


def torch_model() -> bytes:
    return (made_with_torch("fraud_torch.py", _weights_file()) / "model.pt").read_bytes()


def _of_tensorflow() -> Path:
    return made_with_tensorflow("fraud_tensorflow.py", _weights_file())


@functools.cache
def _weights_file() -> Path:
    return handed_over("fraud", **weights())
