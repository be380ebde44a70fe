"""Reference section 10: a server that can neither write nor read its files ends in good order, whatever the engines do."""

import os
import resource
import signal

import pytest

from support import onnx_models
from support.commands import execute_command, set_tensor, store_model
from support.resp import OK, ConnectionClosed
from support.scripts import entry_point, script_command, store_script
from support.server import ServerStartError, wait_until_dead

SPIN = entry_point("spin", "total = torch.zeros(64, 64)", "for i in range(10000000):", "    total += 1", "return total")


@pytest.mark.parametrize("engine", ["onnx", "torch"])
def test_a_server_that_cannot_append_ends(start_server, engine):
    """It says so by its status. Engines are at work: their libraries must not be torn down meanwhile."""
    server = start_server(config=("--appendonly", "yes", "--appendfsync", "always"))
    raw = server.raw()
    set_tensor(raw, "n", [10_000_000], "INT64")
    set_tensor(raw, "zero", [0])
    if engine == "onnx":
        store_model(raw, "loop", onnx_models.counting_loop())
        run = execute_command("loop", ["n", "zero"], ["never"])
    else:
        store_script(raw, "s", SPIN, "spin")
        run = script_command("s", "spin", [], ["never"])
    with server.raw() as waiting:
        waiting.send(*run)
        _, hard = resource.prlimit(server.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (20_000, hard))
        with pytest.raises((ConnectionClosed, ConnectionResetError)):
            raw.call("AI.TENSORSET", "x", "FLOAT", 10_000, "BLOB", bytes(40_000))
        wait_until_dead(server)
    assert server.exit_status == 1 and server.crash_report() is None


@pytest.mark.parametrize("appends", [False, True], ids=["data file", "append-only file"])
def test_a_file_that_cannot_be_read(start_server, appends):
    """The models read before that are being built at that moment."""
    server = start_server(config=("--appendonly", "yes", "--aof-load-truncated", "no") if appends else ())
    raw = server.raw()
    for number in range(4):
        store_model(raw, f"m{number}", onnx_models.big_weights(number + 1), "TAG", "t")
    if appends:
        assert raw.call("SET", "last", "x" * 100) == OK
    else:
        assert raw.call("SAVE") == OK
    server.kill9()
    [path] = server.directory.glob("appendonlydir/*.incr.aof" if appends else "dump.rdb")
    data = path.read_bytes()
    path.write_bytes(data[:-20])
    with pytest.raises(ServerStartError, match="ended with status 1 at start"):
        server.start()
    assert server.crash_report() is None
    path.write_bytes(data)
    assert len(server.start().raw().call("AI._MODELSCAN")) == 4


def test_a_server_that_is_asked_to_end_while_a_model_runs(start_server):
    """It ends with status 0."""
    server = start_server("MODEL_EXECUTION_TIMEOUT", "60000")
    raw = server.raw()
    set_tensor(raw, "n", [10_000_000], "INT64")
    set_tensor(raw, "zero", [0])
    store_model(raw, "loop", onnx_models.counting_loop())
    raw.send(*execute_command("loop", ["n", "zero"], ["never"]))
    os.kill(server.pid, signal.SIGTERM)
    wait_until_dead(server)
    assert server.exit_status == 0 and server.crash_report() is None
