"""scikit-learn models exported with skl2onnx: the server's predictions are the library's.

A classifier's probabilities leave ONNX Runtime as a sequence of maps (ZipMap) unless the export says otherwise. Such an
output is skipped by default, as it always was; `AI.CONFIG ONNX_MAP_OUTPUTS TENSOR` turns it into a FLOAT tensor
[rows, classes] with the columns in ascending order of the classes.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import redis
from support import real_models
from support.predictions import assert_close, assert_same_labels, map_outputs_as_tensors, predict
from support.real_models import SKLEARN_CLASSIFIERS, SKLEARN_REGRESSORS
from support.server import Server
from support.tensors import get_tensor, run_model, set_tensor, store_onnx

# Classifiers with ZipMap


@pytest.mark.parametrize("name", SKLEARN_CLASSIFIERS)
def test_map_output_becomes_a_tensor_of_probabilities(client: redis.Redis, name: str) -> None:
    model = real_models.sklearn_classifier(name)
    with map_outputs_as_tensors(client):
        labels, probabilities = predict(client, model, 2)
    assert_same_labels(labels, model.labels)
    assert_close(probabilities, model.probabilities)


def test_map_output_of_a_single_row(client: redis.Redis) -> None:
    model = real_models.sklearn_classifier("logistic regression, text labels").rows(1)
    with map_outputs_as_tensors(client):
        labels, probabilities = predict(client, model, 2)
    assert_same_labels(labels, model.labels)
    assert_close(probabilities, model.probabilities)


@pytest.mark.parametrize("name", SKLEARN_CLASSIFIERS)
def test_map_output_is_skipped_by_default(client: redis.Redis, name: str) -> None:
    model = real_models.sklearn_classifier(name)
    labels, probabilities = predict(client, model, 2)
    assert_same_labels(labels, model.labels)
    assert probabilities is None


@pytest.mark.parametrize("earlier", ["tensor", "text"])
def test_skipped_map_output_leaves_the_key_as_it_was(client: redis.Redis, earlier: str) -> None:
    model = real_models.sklearn_classifier("logistic regression")
    store_onnx(client, "model", model.onnx)
    set_tensor(client, "rows", model.inputs[0])
    set_tensor(client, "tensor", np.array([7], dtype=np.int32))
    client.set("text", "untouched")
    command = ("AI.MODELEXECUTE", "model", "INPUTS", 1, "rows", "OUTPUTS", 2, "labels", earlier)
    assert client.execute_command(*command) == b"OK"
    assert_same_labels(get_tensor(client, "labels"), model.labels)
    np.testing.assert_array_equal(get_tensor(client, "tensor"), [7])
    assert client.get("text") == b"untouched"


def test_map_outputs_can_be_switched_while_the_model_is_stored(client: redis.Redis) -> None:
    model = real_models.sklearn_classifier("logistic regression").rows(5)
    store_onnx(client, "model", model.onnx)
    for mode, present in (("TENSOR", True), ("SKIP", False), ("tensor", True), ("skip", False)):
        assert client.execute_command("AI.CONFIG", "ONNX_MAP_OUTPUTS", mode) == b"OK"
        assert client.execute_command("AI.CONFIG", "GET", "ONNX_MAP_OUTPUTS") == mode.upper().encode()
        probabilities = run_model(client, "model", model.inputs, 2)[1]
        assert (probabilities is not None) is present, mode


def test_map_outputs_can_be_chosen_when_the_module_is_loaded(start_server: Callable[..., Server]) -> None:
    client = start_server("ONNX_MAP_OUTPUTS", "TENSOR").client()
    model = real_models.sklearn_classifier("logistic regression")
    labels, probabilities = predict(client, model, 2)
    assert_same_labels(labels, model.labels)
    assert_close(probabilities, model.probabilities)


@pytest.mark.parametrize("words", [(), ("BOTH",), ("",), ("TENSOR ",)])
def test_map_output_setting_refuses_other_words(client: redis.Redis, words: tuple[str, ...]) -> None:
    with pytest.raises(redis.ResponseError, match="^ONNX_MAP_OUTPUTS: expected TENSOR or SKIP$"):
        client.execute_command("AI.CONFIG", "ONNX_MAP_OUTPUTS", *words)
    assert client.execute_command("AI.CONFIG", "GET", "ONNX_MAP_OUTPUTS") == b"SKIP"


# Classifiers without ZipMap


@pytest.mark.parametrize("name", SKLEARN_CLASSIFIERS)
def test_plain_probabilities(client: redis.Redis, name: str) -> None:
    model = real_models.sklearn_classifier(name, zipmap=False)
    labels, probabilities = predict(client, model, 2)
    assert_same_labels(labels, model.labels)
    assert_close(probabilities, model.probabilities)


@pytest.mark.parametrize("name", SKLEARN_CLASSIFIERS)
def test_one_output_per_class(client: redis.Redis, name: str) -> None:
    model = real_models.sklearn_classifier(name, zipmap="columns")
    labels, *columns = predict(client, model, 1 + len(model.classes))
    assert_same_labels(labels, model.labels)
    for column, expected in zip(columns, model.probabilities.T, strict=True):
        assert_close(column, expected)


# Pipelines and regressors


@pytest.mark.parametrize("rows", [1, 2, 569])
def test_pipeline_with_text_columns(client: redis.Redis, rows: int) -> None:
    model = real_models.sklearn_text_pipeline().rows(rows)
    with map_outputs_as_tensors(client):
        labels, probabilities = predict(client, model, 2)
    assert_same_labels(labels, model.labels)
    assert_close(probabilities, model.probabilities)


def test_pipeline_reports_its_inputs_and_outputs(client: redis.Redis) -> None:
    store_onnx(client, "model", real_models.sklearn_text_pipeline().onnx)
    reply = client.execute_command("AI.MODELGET", "model", "META")
    fields = dict(zip(reply[::2], reply[1::2]))
    assert fields[b"inputs"] == [b"size", b"texture", b"numbers"]
    assert fields[b"outputs"] == [b"output_label", b"output_probability"]


@pytest.mark.parametrize("name", SKLEARN_REGRESSORS)
def test_regressor(client: redis.Redis, name: str) -> None:
    model = real_models.sklearn_regressor(name)
    (values,) = predict(client, model, 1)
    assert_close(values, model.values)


def test_regressor_in_double_precision(client: redis.Redis) -> None:
    model = real_models.sklearn_regressor("ridge", np.float64)
    (values,) = predict(client, model, 1)
    assert values.dtype == np.float64
    np.testing.assert_allclose(values, model.values, rtol=0, atol=1e-12)
