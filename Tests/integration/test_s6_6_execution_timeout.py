"""Reference section 6.6: MODEL_EXECUTION_TIMEOUT ends runs that take too long."""

import time

from support import onnx_models
from support.commands import execute, get_tensor, set_tensor, stats, store_model
from support.long_runs import busy_worker, loop_command, store_loop
from support.resp import OK, Error

MODULE_ARGS = ("MODEL_EXECUTION_TIMEOUT", "1000")
TERMINATED = "Exiting due to terminate flag being set to true"


def test_an_endless_run_is_ended(raw):
    store_loop(raw)
    started = time.monotonic()
    reply = raw.call(*loop_command("loop", "endless"))
    elapsed = time.monotonic() - started
    assert isinstance(reply, Error) and TERMINATED in reply.text, reply
    assert "\n" not in reply.text
    assert 1.0 <= elapsed < 4.0, elapsed
    assert raw.call("EXISTS", "loop:y") == 0
    assert (stats(raw, "loop")["calls"], stats(raw, "loop")["errors"]) == (1, 1)


def test_the_worker_and_the_model_are_usable_again(raw):
    store_loop(raw)
    assert TERMINATED in raw.call(*loop_command("loop", "endless")).text
    assert raw.call(*loop_command("loop", "tiny")) == OK
    store_model(raw, "m", onnx_models.add_constant(1))
    set_tensor(raw, "x", [1])
    assert execute(raw, "m", ["x"], ["y"]) == OK
    assert get_tensor(raw, "y").tolist() == [2]


def test_requests_behind_it_are_served(server, raw):
    store_loop(raw)
    store_model(raw, "m", onnx_models.add_constant(1))
    set_tensor(raw, "x", [1])
    with busy_worker(server, length="endless") as loop:
        assert execute(raw, "m", ["x"], ["y"]) == OK
        assert TERMINATED in loop.read().text


def test_shorter_runs_are_left_alone(raw):
    """The limit is on one run, not on the time since the model was stored or the worker was started."""
    store_loop(raw)
    deadline = time.monotonic() + 1.5
    while time.monotonic() < deadline:
        assert raw.call(*loop_command("loop", "tiny")) == OK
