"""A snapshot taken by a forked child while workers run and models load: it must not wait for a lock of theirs."""

from support import onnx_models
from support.commands import execute_command, get_tensor, set_tensor, store_command, store_model
from support.resp import OK, encode_command
from support.wait import eventually

ROUNDS = 8
RUNS_PER_ROUND = 20


def test_bgsave_under_load(server, raw):
    store_model(raw, "m", onnx_models.add_constant(1))
    set_tensor(raw, "x", [1])
    clients = [server.raw() for _ in range(4)]
    for _ in range(ROUNDS):
        runs = [execute_command("m", ["x"], ["y"])] * RUNS_PER_ROUND
        burst = b"".join(encode_command(*command) for command in [*runs, store_command("n", onnx_models.mul())])
        for client in clients:
            client.send_bytes(burst)
        assert raw.call("BGSAVE").text == "Background saving started"
        for client in clients:
            assert [client.read() for _ in range(RUNS_PER_ROUND + 1)] == [OK] * (RUNS_PER_ROUND + 1)
        _await_saved(server)
    server.restart()
    assert get_tensor(server.raw(), "y").tolist() == [2]


def _await_saved(server) -> None:
    eventually(lambda: server.info("persistence")["rdb_bgsave_in_progress"] == "0", "the child ends")
    assert server.info("persistence")["rdb_last_bgsave_status"] == "ok"
