"""XGBoost models exported with onnxmltools, alone and in a scikit-learn pipeline: the predictions are the library's."""

from __future__ import annotations

import pytest
import redis
from support import real_models
from support.predictions import assert_close, assert_same_labels, map_outputs_as_tensors, predict
from support.real_models import XGBOOST_CLASSIFIERS


@pytest.mark.parametrize("name", XGBOOST_CLASSIFIERS)
def test_classifier(client: redis.Redis, name: str) -> None:
    model = real_models.xgboost_classifier(name)
    labels, probabilities = predict(client, model, 2)
    assert_same_labels(labels, model.labels)
    assert_close(probabilities, model.probabilities)


@pytest.mark.parametrize("name", XGBOOST_CLASSIFIERS)
def test_classifier_on_a_single_row(client: redis.Redis, name: str) -> None:
    model = real_models.xgboost_classifier(name).rows(1)
    labels, probabilities = predict(client, model, 2)
    assert_same_labels(labels, model.labels)
    assert_close(probabilities, model.probabilities)


def test_regressor(client: redis.Redis) -> None:
    model = real_models.xgboost_regressor()
    (values,) = predict(client, model, 1)
    assert_close(values, model.values)


def test_classifier_in_a_pipeline(client: redis.Redis) -> None:
    model = real_models.xgboost_pipeline()
    with map_outputs_as_tensors(client):
        labels, probabilities = predict(client, model, 2)
    assert_same_labels(labels, model.labels)
    assert_close(probabilities, model.probabilities)


def test_classifier_in_a_pipeline_skips_its_map_output_by_default(client: redis.Redis) -> None:
    model = real_models.xgboost_pipeline()
    labels, probabilities = predict(client, model, 2)
    assert_same_labels(labels, model.labels)
    assert probabilities is None
