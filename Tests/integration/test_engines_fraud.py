"""One fraud network in five formats: all engines in one server give the same answers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import redis
from support import fraud_models
from support.tensors import names, run_model, store_model

pytestmark = pytest.mark.one_server
TOLERANCE = 1e-5
NAMES = ("INPUTS", 2, *fraud_models.INPUTS, "OUTPUTS", 1, fraud_models.OUTPUT)

# The key, the engine, what makes the model, and what AI.MODELSTORE has to be told.
FORMATS = {
    "onnx": ("ONNX", fraud_models.onnx_model, ()),
    "frozen_graph": ("TF", fraud_models.frozen_graph, NAMES),
    "saved_model": ("TF", fraud_models.saved_model, ()),
    "tflite": ("TFLITE", fraud_models.tflite_model, ()),
    "torch": ("TORCH", fraud_models.torch_model, ()),
}


@pytest.fixture
def engines(client: redis.Redis) -> redis.Redis:
    """The client of a server that holds the network in every format."""
    for key, (backend, make, options) in FORMATS.items():
        store_model(client, key, backend, make(), *options)
    return client


@pytest.mark.parametrize("count", [1, 7, 64])
def test_all_engines_agree(engines: redis.Redis, count: int) -> None:
    samples = fraud_models.samples(count)
    expected = fraud_models.answers(**samples)
    for key in FORMATS:
        (actual,) = run_model(engines, key, in_order(samples, names(engines, key, "inputs")), 1)
        assert actual is not None and actual.dtype == np.float32, key
        np.testing.assert_allclose(actual, expected, rtol=0, atol=TOLERANCE, err_msg=key)


def in_order(samples: dict[str, np.ndarray], inputs: list[str]) -> list[np.ndarray]:
    """The samples in the order of the model's inputs: a converter may sort them, and make `serving_default_reference:0`
    of a name."""
    return [next(array for name, array in samples.items() if name in text) for text in inputs]


@pytest.mark.parametrize("key", FORMATS)
def test_modelget_returns_the_bytes(engines: redis.Redis, key: str) -> None:
    make: Callable[[], bytes] = FORMATS[key][1]
    assert engines.execute_command("AI.MODELGET", key, "BLOB") == make()
