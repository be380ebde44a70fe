"""Reference section 6.3: TIMEOUT ends the wait in the queue, never a run."""

from support import onnx_models
from support.commands import execute, execute_command, get_tensor, set_tensor, stats, store_model
from support.long_runs import busy_worker, loop_command, store_loop
from support.resp import OK, TIMEDOUT


def test_expires_in_the_queue(server, raw):
    store_loop(raw)
    store_model(raw, "m", onnx_models.add_constant(1))
    set_tensor(raw, "x", [1])
    with busy_worker(server) as loop:
        assert execute(raw, "m", ["x"], ["y"], "TIMEOUT", 1) == TIMEDOUT
        assert loop.read() == OK
    assert raw.call("EXISTS", "y") == 0
    now = stats(raw, "m")
    assert (now["calls"], now["errors"], now["duration"], now["samples"]) == (0, 0, 0, 0)


def test_long_enough(server, raw):
    store_loop(raw)
    store_model(raw, "m", onnx_models.add_constant(1))
    set_tensor(raw, "x", [1])
    with busy_worker(server) as loop:
        assert execute(raw, "m", ["x"], ["y"], "TIMEOUT", 60000) == OK
        assert loop.read() == OK
    assert get_tensor(raw, "y").tolist() == [2]


def test_does_not_end_a_run(raw):
    store_loop(raw)
    assert raw.call(*loop_command("loop", "short", "y", "TIMEOUT", 20)) == OK
    assert raw.call("EXISTS", "y") == 1


def test_each_request_has_its_own(server, raw):
    store_loop(raw)
    store_model(raw, "m", onnx_models.add_constant(1))
    set_tensor(raw, "x", [1])
    timeouts = [1, 60000, 2, 60000]
    clients = [server.raw() for _ in timeouts]
    with busy_worker(server) as loop:
        for i, (client, timeout) in enumerate(zip(clients, timeouts, strict=True)):
            client.send(*execute_command("m", ["x"], [f"y{i}"], "TIMEOUT", timeout))
        assert [client.read() for client in clients] == [TIMEDOUT, OK, TIMEDOUT, OK]
        assert loop.read() == OK
    assert stats(raw, "m")["calls"] == 2
