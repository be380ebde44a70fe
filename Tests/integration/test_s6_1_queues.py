"""Reference section 6.1: one FIFO queue per device string, each with THREADS_PER_QUEUE workers."""

from pathlib import Path

from support import onnx_models
from support.commands import execute, execute_command, get_tensor, set_tensor, store_model
from support.long_runs import busy_worker, store_loop
from support.resp import OK


def test_one_queue_is_first_in_first_out(server, raw):
    store_loop(raw)
    store_model(raw, "m", onnx_models.add_constant(1))
    with busy_worker(server) as first, server.raw() as second:
        second.send(*execute_command("m", ["loop:y"], ["z"]))
        reply = second.read()
        # Its input did not exist when it was sent; it must not have waited for the first run's output.
        assert reply.text == "ERR tensor key is empty or in a different shard"
        second.send(*execute_command("m", ["loop:x"], ["z"]))
        assert second.read() == OK
        assert first.has_reply(within=1), "the later request overtook the earlier one"
        assert first.read() == OK


def test_another_device_is_another_queue(server, raw):
    store_loop(raw)
    for i, device in enumerate(("CPU:", "CPU:0", "CPU:1")):
        store_model(raw, f"m{i}", onnx_models.add_constant(1), device=device)
    with busy_worker(server) as loop:
        for i in range(3):
            assert execute(raw, f"m{i}", ["loop:x"], ["z"]) == OK
        assert not loop.has_reply(within=0), "the loop ended too early to tell"
        assert loop.read() == OK


def test_two_workers_run_two_requests_at_once(start_server):
    server = start_server("THREADS_PER_QUEUE", "2")
    raw = server.raw()
    store_loop(raw)
    store_model(raw, "m", onnx_models.add_constant(1))
    with busy_worker(server) as loop:
        assert execute(raw, "m", ["loop:x"], ["z"]) == OK
        assert not loop.has_reply(within=0), "the loop ended too early to tell"
        assert loop.read() == OK


def test_runs_of_one_model_at_once_do_not_disturb_each_other(start_server):
    server = start_server("THREADS_PER_QUEUE", "4")
    raw = server.raw()
    store_loop(raw)
    clients = [server.raw() for _ in range(8)]
    for i, client in enumerate(clients):
        set_tensor(raw, f"n{i}", [1000 * (i + 1)], "INT64")
        client.send(*execute_command("loop", [f"n{i}", "loop:x"], [f"y{i}"]))
    assert [client.read() for client in clients] == [OK] * 8
    assert [get_tensor(raw, f"y{i}")[0] for i in range(8)] == [1000 * (i + 1) for i in range(8)]


def test_parallelism_settings_give_the_same_answers(start_server):
    raw = start_server("INTRA_OP_PARALLELISM", "2", "INTER_OP_PARALLELISM", "2").raw()
    store_loop(raw)
    set_tensor(raw, "n", [10_000], "INT64")
    assert execute(raw, "loop", ["n", "loop:x"], ["y"]) == OK
    assert get_tensor(raw, "y").tolist() == [10_000]


def test_workers_carry_names(server):
    """A person looking at ``top -H`` sees whose threads these are."""
    names = [comm.read_text().strip() for comm in Path(f"/proc/{server.pid}/task").glob("*/comm")]
    assert any("CPU" in name.upper() for name in names), names
