"""TensorFlow does not get more memory than the machine can spare: an error of the run, and not the end of the server."""

import os

import pytest

from support import tf_models
from support.commands import execute, get_tensor, set_tensor, stats
from support.resp import OK, Error

pytestmark = pytest.mark.one_server
# The library waits for tens of seconds for memory to come back before it says so: the run is given up before.
MODULE_ARGS = ("MODEL_EXECUTION_TIMEOUT", "1000")
MACHINE_BYTES = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def test_a_run_that_needs_more_than_the_machine_can_spare(server, raw):
    """Less than there is: the system would promise it, and end the server when it is written to."""
    line = ["TF", "CPU", "INPUTS", 1, "input", "OUTPUTS", 1, "output", "BLOB", tf_models.fill()]
    for key in ("m", "n"):
        assert raw.call("AI.MODELSTORE", key, *line) == OK
    set_tensor(raw, "small", [1000], "INT64")
    set_tensor(raw, "large", [MACHINE_BYTES * 8 // 10 // 4], "INT64")
    before = int(server.info("memory")["used_memory_rss"])
    reply = execute(raw, "m", ["large"], ["z"])
    assert reply == Error("ERR the run did not end when it was interrupted, and was abandoned")
    assert int(server.info("memory")["used_memory_rss"]) - before < 100_000_000
    assert raw.call("EXISTS", "z") == 0
    assert stats(raw, "m")["errors"] == 1
    assert execute(raw, "n", ["small"], ["z"]) == OK
    assert get_tensor(raw, "z").sum() == 1000
