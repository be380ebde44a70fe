"""Sequence and map outputs: skipped by default as in the original, readable as tensors when switched on."""

import numpy as np
import pytest

from support import onnx_models
from support.commands import execute, get_tensor, set_tensor, store_model
from support.resp import OK, Error

SCORES = np.array([[0.1, 0.2, 0.7], [0.5, 0.3, 0.2]], dtype=np.float32)


@pytest.fixture
def maps_as_tensors(raw):
    assert raw.call("AI.CONFIG", "ONNX_MAP_OUTPUTS", "TENSOR") == OK
    yield
    assert raw.call("AI.CONFIG", "ONNX_MAP_OUTPUTS", "SKIP") == OK


def test_a_sequence_is_skipped(raw):
    store_model(raw, "m", onnx_models.sequence_output())
    set_tensor(raw, "x", [1, 2])
    assert execute(raw, "m", ["x"], ["s", "y"]) == OK
    assert raw.call("EXISTS", "s") == 0
    assert get_tensor(raw, "y").tolist() == [1, 2]


def test_a_skipped_output_leaves_its_key_alone(raw):
    store_model(raw, "m", onnx_models.sequence_output())
    set_tensor(raw, "x", [1, 2])
    set_tensor(raw, "s", [7])
    assert execute(raw, "m", ["x"], ["s", "y"]) == OK
    assert get_tensor(raw, "s").tolist() == [7]


def test_maps_are_skipped_by_default(raw):
    store_model(raw, "m", onnx_models.zip_map([0, 1, 2]))
    set_tensor(raw, "x", SCORES)
    assert execute(raw, "m", ["x"], ["y", "z"]) == OK
    assert raw.call("EXISTS", "z") == 0
    assert np.array_equal(get_tensor(raw, "y"), SCORES)


def test_maps_as_tensors(raw, maps_as_tensors):
    store_model(raw, "m", onnx_models.zip_map([0, 1, 2]))
    set_tensor(raw, "x", SCORES)
    assert execute(raw, "m", ["x"], ["y", "z"]) == OK
    assert get_tensor(raw, "z").dtype == np.float32
    assert np.array_equal(get_tensor(raw, "z"), SCORES)


@pytest.mark.parametrize(
    "labels, order",
    [([3, 1, 2], [1, 2, 0]), (["b", "c", "a"], [2, 0, 1]), ([-1, -5, 0], [1, 0, 2]), ([10, 9, 100], [1, 0, 2])],
    ids=str,
)
def test_columns_are_in_ascending_class_order(raw, maps_as_tensors, labels, order):
    store_model(raw, "m", onnx_models.zip_map(labels))
    set_tensor(raw, "x", SCORES)
    assert execute(raw, "m", ["x"], ["y", "z"]) == OK
    assert np.array_equal(get_tensor(raw, "z"), SCORES[:, order])


def test_one_row(raw, maps_as_tensors):
    store_model(raw, "m", onnx_models.zip_map([0, 1, 2]))
    set_tensor(raw, "x", SCORES[:1])
    assert execute(raw, "m", ["x"], ["y", "z"]) == OK
    assert get_tensor(raw, "z").shape == (1, 3)


def test_a_sequence_of_tensors_is_still_skipped(raw, maps_as_tensors):
    store_model(raw, "m", onnx_models.sequence_output())
    set_tensor(raw, "x", [1, 2])
    assert execute(raw, "m", ["x"], ["s", "y"]) == OK
    assert raw.call("EXISTS", "s") == 0


def test_the_setting_is_checked(raw):
    for value in ("FOO", ""):
        reply = raw.call("AI.CONFIG", "ONNX_MAP_OUTPUTS", value)
        assert isinstance(reply, Error) and reply.text.startswith("ERR ")


def test_load_time_setting(start_server):
    raw = start_server("ONNX_MAP_OUTPUTS", "TENSOR").raw()
    store_model(raw, "m", onnx_models.zip_map([0, 1, 2]))
    set_tensor(raw, "x", SCORES)
    assert execute(raw, "m", ["x"], ["y", "z"]) == OK
    assert np.array_equal(get_tensor(raw, "z"), SCORES)
