"""Reference section 6.7: BACKEND_MEMORY_LIMIT (in millions of bytes) bounds what the engine may allocate."""

import pytest

from support import onnx_models
from support.commands import NO_MODEL, execute, get_tensor, set_tensor, stats, store_command, store_model
from support.resp import OK, Error
from support.wait import eventually

MODULE_ARGS = ("BACKEND_MEMORY_LIMIT", "30")
REASON = "Onnxruntime memory limit exceeded, memory allocation failed."


def _memory(server) -> int:
    return int(server.info("modules").get("ai_onnxruntime_memory", 0))


@pytest.fixture(autouse=True)
def _memory_of_the_test_before_is_given_back(server):
    """Sessions of deleted models are closed in the background."""
    eventually(lambda: _memory(server) == 0, "the sessions are gone")


def test_a_model_too_large_to_store(server, raw):
    reply = raw.call(*store_command("m", onnx_models.big_weights(50)))
    assert reply == Error(f"Exception during initialization: {REASON}")
    assert raw.call("AI.MODELGET", "m") == NO_MODEL
    eventually(lambda: _memory(server) == 0, "nothing stays allocated")


def test_a_model_that_fits(server, raw):
    store_model(raw, "m", onnx_models.big_weights(10))
    assert _memory(server) >= 10_000_000
    assert raw.call("AI.MODELDEL", "m") == OK
    eventually(lambda: _memory(server) == 0, "the session is gone")


def test_models_add_up(server, raw):
    stored = 0
    while raw.call(*store_command(f"m{stored}", onnx_models.big_weights(9))) == OK:
        stored += 1
        assert stored < 4
    assert stored >= 2
    assert raw.call("AI.MODELDEL", "m0") == OK
    store_model(raw, "again", onnx_models.big_weights(9))


@pytest.mark.parametrize("elements", [20_000_000, 10**12])
def test_a_run_that_needs_too_much(server, raw, elements):
    store_model(raw, "m", onnx_models.big_scratch())
    before = _memory(server)
    set_tensor(raw, "x", [elements], "INT64")
    reply = execute(raw, "m", ["x"], ["y"])
    assert isinstance(reply, Error) and REASON in reply.text, reply
    assert stats(raw, "m")["errors"] == 1
    assert _memory(server) == before


def test_the_model_is_usable_after_a_refused_run(server, raw):
    store_model(raw, "m", onnx_models.big_scratch())
    set_tensor(raw, "x", [20_000_000], "INT64")
    assert isinstance(execute(raw, "m", ["x"], ["y"]), Error)
    set_tensor(raw, "x", [1000], "INT64")
    assert execute(raw, "m", ["x"], ["y"]) == OK
    assert get_tensor(raw, "y") == 1000
