"""Reference section 3.16: AI.INFO of scripts, and of models that scripts run."""

import pytest

from support import onnx_models
from support.commands import NO_RUN_INFO, set_tensor, stats, store_model
from support.resp import OK
from support.scripts import entry_point, run_script, store_script

SOURCE = (
    entry_point("f", "return tensors[0]")
    + entry_point("none", "pass")
    + entry_point("fails", "assert False", "return tensors[0]")
    + entry_point("model", 'return redisAI.model_execute("m", tensors, 1)')
)


@pytest.fixture(autouse=True)
def script(raw):
    store_script(raw, "s", SOURCE, "f", "none", "fails", "model", tag="v1", device="cpu")
    set_tensor(raw, "x", [[1], [2]])


def test_layout(raw):
    """There are no samples of scripts."""
    reply = raw.call("AI.INFO", "s")
    assert reply == [
        *(b"key", b"s", b"type", b"SCRIPT", b"backend", b"TORCH", b"device", b"cpu", b"tag", b"v1"),
        *(b"duration", 0, b"samples", -1, b"calls", 0, b"errors", 0),
    ]


def test_counting(raw):
    duration = 0
    for calls in (1, 2, 3):
        assert run_script(raw, "s", "f", ["x"], ["y"]) == OK
        now = stats(raw, "s")
        assert (now["calls"], now["errors"], now["samples"]) == (calls, 0, -1)
        assert now["duration"] > duration
        duration = now["duration"]


def test_runs_without_outputs_count(raw):
    assert run_script(raw, "s", "none") == OK
    now = stats(raw, "s")
    assert (now["calls"], now["errors"], now["samples"]) == (1, 0, -1)
    assert now["duration"] > 0


@pytest.mark.parametrize("function", ["fails", "missing"])
def test_failures(raw, function):
    for _ in range(2):
        run_script(raw, "s", function, ["x"], ["y"])
    now = stats(raw, "s")
    assert (now["calls"], now["errors"], now["samples"], now["duration"]) == (2, 2, -1, 0)


def test_reset(raw):
    assert run_script(raw, "s", "f", ["x"], ["y"]) == OK
    assert raw.call("AI.INFO", "s", "RESETSTAT") == OK
    now = stats(raw, "s")
    assert (now["calls"], now["errors"], now["samples"], now["duration"]) == (0, 0, -1, 0)


def test_a_model_that_a_script_runs_is_not_counted(raw):
    store_model(raw, "m", onnx_models.add_constant(1))
    assert run_script(raw, "s", "model", ["x"], ["y"]) == OK
    assert stats(raw, "s")["calls"] == 1
    now = stats(raw, "m")
    assert (now["calls"], now["errors"], now["samples"], now["duration"]) == (0, 0, 0, 0)


def test_the_entry_goes_with_the_script(raw):
    assert raw.call("AI.SCRIPTDEL", "s") == OK
    assert raw.call("AI.INFO", "s") == NO_RUN_INFO


def test_a_model_takes_the_name_over(raw):
    raw.call("DEL", "s")
    store_model(raw, "s", onnx_models.add_constant(1))
    now = stats(raw, "s")
    assert (now["type"], now["backend"], now["samples"]) == (b"MODEL", b"ONNX", 0)
