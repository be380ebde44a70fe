"""Models that are deleted, replaced or moved while the engine is still building them."""

import pytest

from support import onnx_models
from support.commands import execute, get_tensor, set_tensor, store_command, store_model, words
from support.resp import OK, QUEUED
from support.wait import eventually

SLOW = onnx_models.big_weights(5)


def _store_without_waiting(raw, key: str, model: bytes) -> None:
    """Inside a transaction the reply comes at once and the model is built afterwards."""
    assert raw.pipeline([["MULTI"], store_command(key, model), ["EXEC"]]) == [OK, QUEUED, [OK]]


@pytest.mark.parametrize(
    "command", ["DEL m", "AI.MODELDEL m", "UNLINK m", "FLUSHALL", "FLUSHALL ASYNC", "SET m text", "PEXPIRE m 1"]
)
def test_deleted_while_loading(raw, command):
    for _ in range(5):
        _store_without_waiting(raw, "m", onnx_models.fresh(SLOW))
        assert raw.call(*words(command)) in (OK, 1)
        eventually(lambda: raw.call("AI._MODELSCAN") == [], "the model is forgotten")
        raw.call("DEL", "m")


@pytest.mark.parametrize("command", ["RENAME m n", "MOVE m 3", "SWAPDB 0 3", "DEBUG RELOAD"])
def test_moved_while_loading(raw, command):
    _store_without_waiting(raw, "m", onnx_models.fresh(SLOW))
    assert raw.call(*words(command)) in (OK, 1)
    if command.endswith("3"):
        raw.call("SELECT", 3)
    key = "n" if command.startswith("RENAME") else "m"
    set_tensor(raw, "x", [1])
    assert execute(raw, key, ["x"], ["y"]) == OK


def test_replaced_while_loading(raw):
    """The later model stays, whichever is ready first."""
    set_tensor(raw, "x", [1])
    for constant in range(5):
        _store_without_waiting(raw, "m", onnx_models.fresh(SLOW))
        store_model(raw, "m", onnx_models.add_constant(constant))
        assert execute(raw, "m", ["x"], ["y"]) == OK
        assert get_tensor(raw, "y").tolist() == [1 + constant]


def test_the_last_of_many_stores_stays(server, raw):
    """Replies come when each model is ready; the keyspace holds one of them, whole."""
    set_tensor(raw, "x", [0])
    clients = [server.raw() for _ in range(8)]
    for constant, client in enumerate(clients):
        client.send(*store_command("m", onnx_models.add_constant(constant), "TAG", f"v{constant}"))
    assert [client.read() for client in clients] == [OK] * 8
    assert execute(raw, "m", ["x"], ["y"]) == OK
    [[_, tag]] = raw.call("AI._MODELSCAN")
    assert tag == b"v%d" % get_tensor(raw, "y")[0]


def test_stores_of_one_client_take_effect_in_order(raw):
    set_tensor(raw, "x", [0])
    replies = raw.pipeline([store_command("m", onnx_models.add_constant(constant)) for constant in range(10)])
    assert replies == [OK] * 10
    assert execute(raw, "m", ["x"], ["y"]) == OK
    assert get_tensor(raw, "y").tolist() == [9]


def test_a_client_that_wants_no_reply_is_served(raw):
    set_tensor(raw, "x", [1])
    raw.send("CLIENT", "REPLY", "OFF")
    raw.send(*store_command("m", onnx_models.add_constant(5)))
    raw.send(*words("AI.MODELEXECUTE m INPUTS 1 x OUTPUTS 1 y"))
    assert raw.call("CLIENT", "REPLY", "ON") == OK
    assert get_tensor(raw, "y").tolist() == [6]
