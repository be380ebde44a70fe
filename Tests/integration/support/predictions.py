"""Running an exported model in a server and comparing its answers with the library's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import redis

from support.real_models import Classifier, Regressor
from support.tensors import run_model, store_onnx

TOLERANCE = 1e-5


def predict(client: redis.Redis, model: Classifier | Regressor, outputs: int) -> list[np.ndarray | None]:
    """Stores the model under the key `model` and runs it on its inputs."""
    store_onnx(client, "model", model.onnx)
    return run_model(client, "model", model.inputs, outputs)


@contextmanager
def map_outputs_as_tensors(client: redis.Redis) -> Iterator[None]:
    """Inside, map outputs become tensors; afterwards they are skipped again, as is the default."""
    assert client.execute_command("AI.CONFIG", "ONNX_MAP_OUTPUTS", "TENSOR") == b"OK"
    try:
        yield
    finally:
        assert client.execute_command("AI.CONFIG", "ONNX_MAP_OUTPUTS", "SKIP") == b"OK"


def assert_same_labels(actual: np.ndarray | None, expected: np.ndarray) -> None:
    """Labels are INT64 or STRING and equal without tolerance."""
    assert actual is not None, "the labels were not written"
    assert actual.dtype == (object if expected.dtype.kind in "OU" else np.int64)
    np.testing.assert_array_equal(actual, expected)


def assert_close(actual: np.ndarray | None, expected: np.ndarray) -> None:
    """FLOAT numbers of the same shape, everywhere within the tolerance."""
    assert actual is not None, "the output was not written"
    assert (actual.dtype, actual.shape) == (np.float32, expected.shape)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=TOLERANCE)
