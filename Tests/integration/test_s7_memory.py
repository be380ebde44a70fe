"""Tensors are visible to the server's memory accounting (the original's were not)."""

import numpy as np

from support import onnx_models
from support.commands import execute, set_tensor, store_model
from support.resp import OK
from support.wait import eventually

MEGABYTE = 1_000_000


def test_memory_usage_covers_the_data(raw):
    set_tensor(raw, "t", np.zeros(MEGABYTE, dtype=np.uint8))
    assert MEGABYTE <= raw.call("MEMORY", "USAGE", "t") < 1.5 * MEGABYTE


def test_memory_usage_of_strings(raw):
    assert raw.call("AI.TENSORSET", "t", "STRING", 2, "VALUES", b"x" * MEGABYTE, b"y" * MEGABYTE) == OK
    assert raw.call("MEMORY", "USAGE", "t") >= 2 * MEGABYTE


def test_memory_usage_of_a_model_covers_its_bytes(raw):
    store_model(raw, "m", onnx_models.big_weights(2))
    assert raw.call("MEMORY", "USAGE", "m") >= 2 * MEGABYTE


def settled_memory(server) -> int:
    """used_memory when nothing of earlier tests is left to be given back."""
    measured = [server.used_memory()]

    def is_settled() -> bool:
        measured.append(server.used_memory())
        return len(measured) > 5 and max(measured[-5:]) - min(measured[-5:]) < MEGABYTE // 10

    eventually(is_settled, "used_memory settles", interval=0.05)
    return measured[-1]


def test_used_memory_grows_and_shrinks_with_a_tensor(server, raw):
    before = settled_memory(server)
    assert raw.call("AI.TENSORSET", "t", "UINT8", 20 * MEGABYTE) == OK
    assert server.used_memory() - before >= 20 * MEGABYTE
    assert raw.call("DEL", "t") == 1
    # Some servers free what DEL took away in the background.
    eventually(lambda: server.used_memory() - before < MEGABYTE, "the memory is given back")


def test_used_memory_after_blobs(server, raw):
    before = settled_memory(server)
    for i in range(3):
        set_tensor(raw, f"t{i}", np.zeros(5 * MEGABYTE, dtype=np.uint8))
    assert server.used_memory() - before >= 15 * MEGABYTE
    assert raw.call("FLUSHALL") == OK
    # The server gives the connection's own large query buffer back after about two seconds.
    eventually(lambda: server.used_memory() - before < MEGABYTE, "the memory is given back")


def test_tensors_are_evicted_when_memory_is_short(server, raw):
    """``maxmemory`` is worth something only if the server sees what tensors cost."""
    limit = server.used_memory() + 20 * MEGABYTE
    raw.call("CONFIG", "SET", "maxmemory", limit, "maxmemory-policy", "allkeys-lru")
    try:
        for i in range(60):
            assert raw.call("AI.TENSORSET", f"t{i}", "UINT8", MEGABYTE) == OK
        assert 5 <= raw.call("DBSIZE") <= 20
        assert server.used_memory() <= limit + MEGABYTE
    finally:
        raw.call("CONFIG", "SET", "maxmemory", 0, "maxmemory-policy", "noeviction")


def test_used_memory_counts_an_output(server, raw):
    store_model(raw, "m", onnx_models.add_constant(1))
    assert raw.call("AI.TENSORSET", "in", "FLOAT", 5 * MEGABYTE) == OK
    before = server.used_memory()
    assert execute(raw, "m", ["in"], ["out"]) == OK
    assert server.used_memory() - before >= 20 * MEGABYTE
    assert raw.call("MEMORY", "USAGE", "out") >= 20 * MEGABYTE
