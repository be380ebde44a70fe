"""Reference section 3.6: AI.MODELDEL and the server's own ways of deleting a model."""

import pytest

from support import onnx_models
from support.commands import NO_MODEL, NO_RUN_INFO, store_model
from support.resp import OK
from support.wait import eventually


@pytest.mark.parametrize(
    "command, reply",
    [
        (["AI.MODELDEL", "m"], OK),
        (["ai.modeldel", "m"], OK),
        (["DEL", "m"], 1),
        (["UNLINK", "m"], 1),
        (["PEXPIRE", "m", 1], 1),
        (["FLUSHALL"], OK),
        (["FLUSHALL", "ASYNC"], OK),
        (["FLUSHDB"], OK),
        (["SET", "m", "text"], OK),
    ],
    ids=lambda value: "-".join(map(str, value)) if isinstance(value, list) else None,
)
def test_model_and_its_statistics_are_gone(raw, command, reply):
    store_model(raw, "m", onnx_models.mul())
    assert raw.call(*command) == reply
    # Deleting may finish in the background (UNLINK, expiry).
    eventually(lambda: raw.call("AI.INFO", "m") == NO_RUN_INFO, "the statistics entry disappears")
    assert raw.call("AI._MODELSCAN") == []
    assert raw.call("DEL", "m") == (1 if command[0] == "SET" else 0)
    assert raw.call("AI.MODELGET", "m") == NO_MODEL


def test_nothing_is_left_when_the_reply_comes(raw):
    """With no run in flight the last reference goes with the key, not some time later."""
    for _ in range(20):
        store_model(raw, "m", onnx_models.mul())
        assert raw.pipeline([["AI.MODELDEL", "m"], ["AI.INFO", "m"], ["AI._MODELSCAN"]]) == [OK, NO_RUN_INFO, []]


def test_deleting_twice(raw):
    store_model(raw, "m", onnx_models.mul())
    assert raw.call("AI.MODELDEL", "m") == OK
    assert raw.call("AI.MODELDEL", "m") == NO_MODEL


def test_only_the_named_model_is_deleted(raw):
    store_model(raw, "m", onnx_models.mul())
    store_model(raw, "n", onnx_models.mul())
    assert raw.call("AI.MODELDEL", "m") == OK
    assert raw.call("AI._MODELSCAN") == [[b"n", b""]]


def test_storing_again_after_deleting(raw):
    for _ in range(5):
        store_model(raw, "m", onnx_models.mul())
        assert raw.call("AI.MODELDEL", "m") == OK
    store_model(raw, "m", onnx_models.mul())
    assert raw.call("AI._MODELSCAN") == [[b"m", b""]]
