"""Under RESP3 only doubles and nil change shape; maps, sets and booleans are never used (reference section 0)."""

import struct

import pytest

from support import onnx_models
from support.commands import execute, set_tensor, store_model, words
from support.resp import OK, Double, Error


@pytest.mark.parametrize(
    "dtype, value, text",
    [("FLOAT", "0.5", "0.5"), ("DOUBLE", "-2", "-2"), ("FLOAT", "inf", "inf"), ("DOUBLE", "-inf", "-inf")],
)
def test_doubles(raw3, dtype, value, text):
    assert raw3.call("AI.TENSORSET", "t", dtype, 1, "VALUES", value) == OK
    assert raw3.call("AI.TENSORGET", "t", "VALUES") == [Double(text)]


def test_nan(raw3):
    assert raw3.call("AI.TENSORSET", "t", "FLOAT", 1, "BLOB", struct.pack("<f", float("nan"))) == OK
    [value] = raw3.call("AI.TENSORGET", "t", "VALUES")
    assert isinstance(value, Double) and value.text in ("nan", "-nan")


def test_tensorget_is_an_array(raw3):
    set_tensor(raw3, "t", [[1, 0]], "BOOL")
    reply = raw3.call("AI.TENSORGET", "t", "META", "VALUES")
    assert type(reply) is list
    assert reply == [b"dtype", b"BOOL", b"shape", [1, 2], b"values", [1, 0]]
    assert all(type(value) is int for value in reply[5])


def test_nil(raw3):
    raw3.send("AI.CONFIG", "GET", "nonsense")
    assert raw3.read_line() == b"_"


def test_model_commands(raw, raw3):
    model = onnx_models.mul_by_weights()
    store_model(raw3, "m", model, "TAG", "v1")
    for command in (
        ["AI.MODELGET", "m"],
        ["AI.INFO", "m"],
        ["AI._MODELSCAN"],
        ["AI.CONFIG", "GET", "MODEL_CHUNK_SIZE"],
    ):
        reply = raw3.call(*command)
        assert reply == raw.call(*command)
        assert type(reply) in (list, int)


def test_execute(raw3):
    store_model(raw3, "m", onnx_models.add_constant(1))
    set_tensor(raw3, "x", [1])
    assert execute(raw3, "m", ["x"], ["y"]) == OK
    assert raw3.call("AI.TENSORGET", "y", "VALUES") == [Double("2")]


def test_errors(raw3):
    assert raw3.call(*words("AI.TENSORGET none")) == Error("ERR tensor key is empty or in a different shard")
