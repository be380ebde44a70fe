"""Reference section 10.5: clients that leave at any moment, and servers that end in the middle of a run."""

import time

import pytest

from support import onnx_models
from support.commands import execute, execute_command, set_tensor, stats, store_command, store_model
from support.long_runs import busy_worker, loop_command, store_loop
from support.resp import OK, ConnectionClosed, encode_command
from support.wait import eventually

LEAVE = [
    pytest.param(lambda client: client.close(), id="close"),
    pytest.param(lambda client: client.abort(), id="reset"),
]


@pytest.mark.parametrize("leave", LEAVE)
def test_during_its_run(server, raw, leave):
    """The run goes on and is counted; its outputs are not written."""
    store_loop(raw)
    with busy_worker(server) as loop:
        leave(loop)
    eventually(lambda: stats(raw, "loop")["calls"] == 1, "the abandoned run is counted")
    store_model(raw, "m", onnx_models.add_constant(1))
    assert execute(raw, "m", ["loop:x"], ["z"]) == OK
    assert raw.call("EXISTS", "loop:y") == 0


@pytest.mark.parametrize("leave", LEAVE)
def test_while_waiting_in_the_queue(server, raw, leave):
    store_loop(raw)
    store_model(raw, "m", onnx_models.add_constant(1))
    with busy_worker(server) as loop:
        queued = server.raw()
        queued.send(*execute_command("m", ["loop:x"], ["y"]))
        assert not queued.has_reply(within=0.05)
        leave(queued)
        assert loop.read() == OK
    eventually(lambda: stats(raw, "m")["calls"] == 1, "the abandoned run is counted")
    assert raw.call("EXISTS", "y") == 0


@pytest.mark.parametrize("leave", LEAVE)
def test_while_a_model_is_built(server, raw, leave):
    client = server.raw()
    client.send_bytes(encode_command(*store_command("m", onnx_models.fresh(onnx_models.big_weights(30)))))
    leave(client)
    store_model(raw, "m", onnx_models.add_constant(1))
    set_tensor(raw, "x", [1])
    assert execute(raw, "m", ["x"], ["y"]) == OK


@pytest.mark.parametrize("leave", LEAVE)
def test_in_the_middle_of_a_command(server, raw, leave):
    command = encode_command(*store_command("m", onnx_models.mul()))
    for length in range(1, len(command), 23):
        client = server.raw()
        client.send_bytes(command[:length])
        leave(client)
    assert raw.call("EXISTS", "m") == 0


def test_client_kill_during_a_run(server, raw):
    store_loop(raw)
    victim = server.raw()
    identity = victim.call("CLIENT", "ID")
    victim.send(*loop_command())
    eventually(lambda: server.info("clients")["blocked_clients"] == "1", "the run is queued")
    assert raw.call("CLIENT", "KILL", "ID", identity) == 1
    with pytest.raises((ConnectionClosed, ConnectionResetError)):
        victim.read()
    eventually(lambda: stats(raw, "loop")["calls"] == 1, "the abandoned run is counted")


def test_client_unblock_does_not_apply(server, raw):
    store_loop(raw)
    with server.raw() as waiting:
        identity = waiting.call("CLIENT", "ID")
        waiting.send(*loop_command())
        eventually(lambda: server.info("clients")["blocked_clients"] == "1", "the run is queued")
        assert raw.call("CLIENT", "UNBLOCK", identity) == 0
        assert raw.call("CLIENT", "UNBLOCK", identity, "ERROR") == 0
        assert waiting.read() == OK


def test_many_leave_at_once(server, raw):
    store_loop(raw)
    store_model(raw, "m", onnx_models.add_constant(1))
    with busy_worker(server) as loop:
        leavers = [server.raw() for _ in range(50)]
        for i, client in enumerate(leavers):
            client.send(*execute_command("m", ["loop:x"], [f"y{i}"]))
        eventually(lambda: server.info("clients")["blocked_clients"] == "51", "all runs are queued")
        for client in leavers:
            client.abort()
        assert loop.read() == OK
    eventually(lambda: stats(raw, "m")["calls"] == 50, "all abandoned runs are counted")
    assert raw.call("KEYS", "y*") == []


@pytest.mark.parametrize("how", [["SHUTDOWN", "NOSAVE"], ["SHUTDOWN", "SAVE"]], ids=lambda how: "-".join(how))
@pytest.mark.parametrize("threads", ["1", "3"])
def test_shutdown_during_runs(start_server, how, threads):
    """Also with a run that would never end."""
    server = start_server("THREADS_PER_QUEUE", threads)
    raw = server.raw()
    store_loop(raw)
    waiting = [server.raw() for _ in range(6)]
    for client in waiting:
        client.send(*loop_command("loop", "endless"))
    eventually(lambda: server.info("clients")["blocked_clients"] == "6", "the runs are queued")
    started = time.monotonic()
    raw.send(*how)
    eventually(lambda: not server.alive(), "the server ends", timeout=15)
    assert time.monotonic() - started < 10
    assert server.exit_status == 0
    assert server.crash_report() is None


def test_sigterm_during_a_run(start_server):
    server = start_server()
    raw = server.raw()
    store_loop(raw)
    raw.send(*loop_command("loop", "endless"))
    eventually(lambda: server.info("clients")["blocked_clients"] == "1", "the run is queued")
    server.stop()
    assert server.exit_status == 0
    assert server.crash_report() is None


def test_shutdown_while_models_are_built(start_server):
    server = start_server()
    raw = server.raw()
    for i in range(4):
        server.raw().send(*store_command(f"m{i}", onnx_models.big_weights(20)))
    raw.send("SHUTDOWN", "NOSAVE")
    eventually(lambda: not server.alive(), "the server ends", timeout=15)
    assert server.exit_status == 0
    assert server.crash_report() is None


def test_models_of_clients_that_left_are_not_built(server, raw):
    """They would keep everybody else's models waiting."""
    blob = onnx_models.mul_by_weights()
    for number in range(300):
        with server.raw() as leaving:
            leaving.send(*store_command(f"left{number}", blob))
            if number % 2:
                leaving.abort()
    eventually(lambda: int(server.info("clients")["blocked_clients"]) == 0, "the clients have gone")
    assert int(server.info("modules")["ai_pending_loads"]) < 300
    started = time.monotonic()
    store_model(raw, "m", blob)
    assert time.monotonic() - started < 5
    assert raw.call("EXISTS", "m") == 1
