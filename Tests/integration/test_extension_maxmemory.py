"""`maxmemory`: tensors and models are evicted like all other keys, no more of them than must be, and at any moment."""

import numpy as np
import pytest

from support import onnx_models
from support.commands import execute_command, get_tensor, set_tensor, store_command, store_model, words
from support.long_runs import busy_worker, store_loop
from support.resp import OK, Error
from support.wait import eventually

POLICIES = ["noeviction", *(f"{keys}-{order}" for keys in ("allkeys", "volatile") for order in ("lru", "lfu", "random"))]
POLICIES += ["volatile-ttl"]
TENSOR_BYTES = 200_000
TENSORS = 60
MODELS = 8
MODEL_MEGABYTES = 1


@pytest.fixture
def limit(server, raw):
    """Sets the limit to so many bytes more than are in use; no limit after the test."""

    def set_limit(spare, policy="allkeys-lru"):
        assert raw.call("CONFIG", "SET", "maxmemory-policy", policy) == OK
        assert raw.call("CONFIG", "SET", "maxmemory", max(1, settled_memory(server) + spare)) == OK

    yield set_limit
    raw.call("CONFIG", "SET", "maxmemory", 0)


def settled_memory(server):
    """Used memory when nobody gives any back any more: what building models took, and what earlier tests had."""
    used = []

    def is_settled():
        used.append(server.used_memory())
        return len(used) > 3 and max(used[-3:]) - min(used[-3:]) < 20_000

    eventually(is_settled, "memory is what the keys take", interval=0.03)
    return used[-1]


def is_out_of_memory(reply):
    return isinstance(reply, Error) and reply.text.startswith("OOM ")


def put(raw, key, value):
    return raw.call("AI.TENSORSET", key, "INT8", TENSOR_BYTES, "BLOB", bytes([value]) * TENSOR_BYTES)


@pytest.mark.parametrize("policy", POLICIES)
def test_each_policy(server, raw, limit, policy):
    """Half as much again is written as there is room for. What is evicted is what the policy says, what is left is whole, and
    memory stays at the limit."""
    expiring = [f"expiring{number}" for number in range(TENSORS // 2)]
    lasting = [f"lasting{number}" for number in range(TENSORS // 2)]
    # On a connection that is closed: what it has read with counts as well.
    with server.raw() as writer:
        for number, key in enumerate([*expiring, *lasting]):
            assert put(writer, key, number) == OK
        for key in expiring:
            assert writer.call("EXPIRE", key, 3600) == 1
        store_model(writer, "m", onnx_models.big_weights(MODEL_MEGABYTES))
    limit(4 * TENSOR_BYTES, policy)
    replies = [put(raw, f"new{number}", number) for number in range(TENSORS // 3)]
    # Every command evicts where memory is over the limit, those that read as well.
    assert raw.call("CONFIG", "SET", "maxmemory-policy", "noeviction") == OK
    left = {key.decode() for key in raw.call("KEYS", "*")}
    if policy == "noeviction":
        assert replies[0] == OK and all(map(is_out_of_memory, replies[6:]))
        assert left >= {*expiring, *lasting, "m"}
        return
    assert replies == [OK] * len(replies)
    if policy.startswith("volatile"):
        assert left >= {*lasting, "m", *(f"new{number}" for number in range(TENSORS // 3))}
        assert TENSORS // 3 - 8 <= len(set(expiring) - left) <= TENSORS // 3 + 2
    else:
        assert len(left) >= TENSORS - 5
    for number, key in enumerate([*expiring, *lasting]):
        if key in left:
            assert set(get_tensor(raw, key)) == {number}
    assert server.used_memory() <= int(raw.call("CONFIG", "GET", "maxmemory")[1]) + 4 * TENSOR_BYTES


def test_nothing_to_evict(raw, limit):
    """No key expires: the policy finds none, and the write is refused."""
    for number in range(3):
        assert put(raw, f"x{number}", number) == OK
    limit(-TENSOR_BYTES, "volatile-lru")
    assert is_out_of_memory(put(raw, "y", 1))
    assert raw.call("DBSIZE") == 3


@pytest.mark.parametrize("lazy", ["yes", "no"])
def test_one_write_evicts_no_more_large_tensors_than_needed(server, raw, limit, lazy):
    """The server looks at its memory after each key: what goes must have gone by then, even where the server is told to free
    in the background (as Valkey is unless told otherwise)."""
    assert raw.call("CONFIG", "SET", "lazyfree-lazy-eviction", lazy) == OK
    with server.raw() as writer:
        for number in range(30):
            set_tensor(writer, f"x{number}", np.full(500_000, number, np.float32))
    limit(100_000)
    for number in range(3):
        set_tensor(raw, f"y{number}", np.full(500_000, number, np.float32))
    # What the connection reads with takes room for one more.
    assert 30 - 2 <= raw.call("DBSIZE") <= 30 + 1


@pytest.mark.parametrize("lazy", ["yes", "no"])
def test_one_write_evicts_no_more_models_than_needed(server, raw, limit, lazy):
    assert raw.call("CONFIG", "SET", "lazyfree-lazy-eviction", lazy) == OK
    with server.raw() as writer:
        for number in range(MODELS):
            store_model(writer, f"m{number}", onnx_models.big_weights(MODEL_MEGABYTES))
    used = settled_memory(server)
    limit(100_000)
    for key in "xy":
        assert raw.call("SET", key, b"x" * 100_000) == OK
    assert MODELS - 2 <= raw.call("DBSIZE") - 2 < MODELS
    assert server.used_memory() < used
    assert len(raw.call("AI._MODELSCAN")) == raw.call("DBSIZE") - 2


def evict_all(raw):
    """Leaves nothing, whatever it is used for, and memory over the limit: every command would evict what is stored next."""
    assert raw.call("CONFIG", "SET", "maxmemory-policy", "allkeys-random") == OK
    assert raw.call("CONFIG", "SET", "maxmemory", 1) == OK
    eventually(lambda: is_out_of_memory(raw.call("SET", "z", "z")) and raw.call("DBSIZE") == 0, "all has been evicted")
    assert raw.call("CONFIG", "SET", "maxmemory-policy", "noeviction") == OK


def test_a_model_is_evicted_while_it_runs_and_while_runs_of_it_wait(server, raw, limit):
    """They hold what they need. What they make is stored: the server asks for memory when a command comes, not later."""
    store_loop(raw)
    store_model(raw, "m", onnx_models.add_constant(1))
    with busy_worker(server) as running, server.raw() as waiting, server.raw() as graph:
        waiting.send(*execute_command("m", ["loop:x"], ["y"]))
        dag = words("AI.DAGEXECUTE LOAD 1 loop:x PERSIST 1 z |> AI.MODELEXECUTE m INPUTS 1 loop:x OUTPUTS 1 z")
        graph.send(*dag)
        eventually(lambda: server.info("clients")["blocked_clients"] == "3", "all wait")
        evict_all(raw)
        assert [client.read() for client in (running, waiting, graph)] == [OK, OK, [OK]]
    assert sorted(raw.call("KEYS", "*")) == [b"loop:y", b"y", b"z"]
    assert raw.call("AI._MODELSCAN") == []
    assert get_tensor(raw, "y").tolist() == [1]
    assert is_out_of_memory(raw.call(*execute_command("m", ["y"], ["y"])))
    evict_all(raw)


def test_a_model_is_evicted_while_a_batch_of_it_forms(server, raw, limit):
    options = words("BATCHSIZE 4 MINBATCHSIZE 3 MINBATCHTIMEOUT 500")
    store_model(raw, "m", onnx_models.add_constant(1), *options)
    set_tensor(raw, "x", [[1]])
    with server.raw() as first, server.raw() as second:
        first.send(*execute_command("m", ["x"], ["y1"]))
        second.send(*execute_command("m", ["x"], ["y2"]))
        eventually(lambda: server.info("clients")["blocked_clients"] == "2", "both wait for a third")
        evict_all(raw)
        assert (first.read(), second.read()) == (OK, OK)
    assert [get_tensor(raw, key).tolist() for key in ("y1", "y2")] == [[[2]], [[2]]]


def test_a_model_that_is_being_built_when_memory_runs_out(server, raw, limit):
    """It was let in when the command came, so it is stored, and evicted next."""
    with server.raw() as client:
        client.send(*store_command("n", onnx_models.fresh(onnx_models.big_weights(30))))
        eventually(lambda: server.info("clients")["blocked_clients"] == "1", "the model is being built")
        assert raw.call("CONFIG", "SET", "maxmemory-policy", "noeviction") == OK
        assert raw.call("CONFIG", "SET", "maxmemory", 1) == OK
        assert client.read() == OK
    assert raw.call("EXISTS", "n") == 1
    evict_all(raw)
    assert raw.call("AI._MODELSCAN") == []
