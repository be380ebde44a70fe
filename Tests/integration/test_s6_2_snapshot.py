"""Reference section 6.2: a queued run sees the tensors and the model as they were when its command arrived."""

import pytest

from support import onnx_models
from support.commands import execute_command, get_tensor, set_tensor, store_command, store_model, words
from support.long_runs import SHORT, busy_worker, store_loop
from support.resp import OK

CHANGES = {
    "input-replaced": words("AI.TENSORSET x FLOAT 1 VALUES 100"),
    "input-deleted": words("DEL x"),
    "input-of-another-type": words("SET x text"),
    "model-replaced": store_command("m", onnx_models.add_constant(1000), device="CPU:7"),
    "model-deleted": words("AI.MODELDEL m"),
    "model-unlinked": words("UNLINK m"),
    "model-renamed": words("RENAME m other"),
    "everything-deleted": words("FLUSHALL"),
    "everything-deleted-in-background": words("FLUSHALL ASYNC"),
    "reloaded": words("DEBUG RELOAD"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_queued_run(server, raw, change):
    store_loop(raw)
    store_model(raw, "m", onnx_models.add_constant(1))
    set_tensor(raw, "x", [1])
    with busy_worker(server) as loop, server.raw() as queued:
        queued.send(*execute_command("m", ["x"], ["y"]))
        assert queued.has_reply(within=0.05) is False, "the run did not wait for the loop"
        reply = raw.call(*change)
        assert reply == OK or reply == 1, reply
        assert loop.read() == OK
        assert queued.read() == OK
    assert get_tensor(raw, "y").tolist() == [2]


@pytest.mark.parametrize("change", ["DEL loop loop:x loop:short", "FLUSHALL", "AI.MODELDEL loop"])
def test_running_run(server, raw, change):
    store_loop(raw)
    with busy_worker(server) as loop:
        assert raw.call(*words(change)) in (OK, 3)
        assert loop.read() == OK
    assert get_tensor(raw, "loop:y").tolist() == [SHORT]


def test_replacing_a_model_under_load_never_fails_a_run(server, raw):
    """Each answer is from one version or the other; none is lost."""
    set_tensor(raw, "x", [0])
    store_model(raw, "m", onnx_models.add_constant(0))
    with server.raw() as runner:
        for version in range(1, 30):
            runner.send(*execute_command("m", ["x"], ["y"]))
            store_model(raw, "m", onnx_models.add_constant(version))
            assert runner.read() == OK
            assert get_tensor(raw, "y")[0] in (version - 1, version)
