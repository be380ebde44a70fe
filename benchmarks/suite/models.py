"""The fraud network of support/fraud_models.py for a workload, in the formats of all serving systems."""

import functools
import os
from pathlib import Path

import numpy as np
from support import fraud_models
from support.workshop import handed_over, make

from suite.errors import BenchmarkError
from suite.serving import Workload

# Interpreters that have TensorFlow, by the variables that name them: the first that is there makes its models.
TENSORFLOW_PYTHONS = ("REDISAI_REFERENCE_PYTHON", "REDISAI_FLASK")
TORCH_PYTHONS = ("REDISAI_TORCH_PYTHON",)


def reference_values(workload: Workload) -> int:
    """How many values the model's input `reference` has; 0: there is no such input."""
    return workload.reference_bytes // 4 if workload.reference != "none" else 0


def answers(workload: Workload, transaction: np.ndarray, reference: np.ndarray | None) -> np.ndarray:
    """The probabilities, FLOAT [N, 2], computed by numpy; the reference is ignored where the model has none."""
    return fraud_models.answers(transaction, reference if reference_values(workload) else None)


def onnx_model(workload: Workload) -> bytes:
    return fraud_models.onnx_model(reference_values(workload))


def torchscript(workload: Workload) -> Path:
    return _made(TORCH_PYTHONS, "fraud_torch.py", reference_values(workload)) / "model.pt"


def saved_model(workload: Workload) -> Path:
    """A folder; its signature `serving_default` has the inputs `transaction` and `reference`, the output `output`."""
    return _of_tensorflow(workload) / "saved_model"


def frozen_graph(workload: Workload) -> Path:
    """The same names are those of the Placeholders and of the last node."""
    return _of_tensorflow(workload) / "frozen.pb"


def tflite(workload: Workload) -> Path:
    return _of_tensorflow(workload) / "model.tflite"


def _of_tensorflow(workload: Workload) -> Path:
    return _made(TENSORFLOW_PYTHONS, "fraud_tensorflow.py", reference_values(workload))


@functools.cache
def _made(pythons: tuple[str, ...], program: str, values: int) -> Path:
    """The results of a program of Tests/integration/makers."""
    name = f"fraud-{bool(values):d}"
    arguments = (handed_over(name, **fraud_models.weights(values)), str(values))
    environment = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
    return make(_python(pythons), program, arguments, environment)


def _python(variables: tuple[str, ...]) -> str:
    for path in filter(None, map(os.environ.get, variables)):
        if os.access(path, os.X_OK):
            return path
    raise BenchmarkError(f"no interpreter to make the model with: none of {', '.join(variables)} names one")
