"""Reference section 10.3: what a replica is told of tensors, models and runs. Scripts: test_s10_scripts.py, DAGs:
test_s10_dags.py."""

import numpy as np
import pytest

from support import onnx_models
from support.commands import NO_MODEL, execute, get_tensor, set_tensor, stats, store_command, store_model, words
from support.replication import PRIMARY, Listener, caught_up, start_replica
from support.resp import OK, Error
from support.wait import eventually

MODEL = onnx_models.add_constant(1)


@pytest.fixture
def pair(start_server):
    """A primary with the model ``m`` and the tensor ``x``, and its replica."""
    primary = start_server(config=PRIMARY)
    with primary.raw() as raw:
        store_model(raw, "m", MODEL)
        set_tensor(raw, "x", [1, 2])
    return primary, start_replica(start_server, primary)


def encoded(command):
    return [word if isinstance(word, bytes) else str(word).encode() for word in command]


def test_what_is_stored_and_deleted_arrives_as_it_was_sent(pair):
    primary, replica = pair
    listener, raw = Listener(*pair), primary.raw()
    options = words("TAG v1 BATCHSIZE 8 MINBATCHSIZE 2 MINBATCHTIMEOUT 50")
    sent = [
        words("ai.TensorSet t float 1 2 values 1.5 2e0"),
        words("AI.TENSORSET b INT8 2 BLOB", b"\xff\0"),
        words("AI.TENSORSET text STRING 2 VALUES", "one", "é"),
        words("AI.TENSORSET zeros BOOL 2 2"),
        store_command("n", MODEL, *options, device="cpu:1"),
        ["AI.MODELSTORE", "pieces", "onnx", "CPU", "BLOB", MODEL[:10], MODEL[10:]],
        words("Ai.ModelDel m"),
        words("DEL x"),
    ]
    for command in sent:
        assert raw.call(*command) in (OK, 1)
    assert listener.commands() == [encoded(command) for command in sent]
    copy = caught_up(*pair)
    for key in ("n", "pieces"):
        eventually(lambda key=key: copy.call("AI.MODELGET", key) == raw.call("AI.MODELGET", key), f"{key} is the same")
    assert copy.call("AI.MODELGET", "m") == NO_MODEL
    assert copy.call("AI._MODELSCAN") == [[b"n", b"v1"], [b"pieces", b""]]
    for key in ("t", "b", "text", "zeros"):
        assert copy.call("AI.TENSORGET", key) == raw.call("AI.TENSORGET", key)


def test_a_run_arrives_as_its_outputs(pair):
    """With their bytes; the replica does not run the model."""
    primary, replica = pair
    listener, raw = Listener(*pair), primary.raw()
    store_model(raw, "two", onnx_models.sum_and_difference())
    store_model(raw, "total", onnx_models.total())
    listener.commands()
    assert execute(raw, "m", ["x"], ["y"]) == OK
    assert execute(raw, "two", ["y", "x"], ["sum", "difference"]) == OK
    assert execute(raw, "total", ["x"], ["scalar"]) == OK
    floats = {"y": [2, 3], "sum": [3, 5], "difference": [1, 1]}
    expected = [
        words(f"AI.TENSORSET {key} FLOAT 2 BLOB", np.array(values, dtype=np.float32).tobytes())
        for key, values in floats.items()
    ]
    expected.append(words("AI.TENSORSET scalar FLOAT BLOB", np.array(3, dtype=np.float32).tobytes()))
    assert listener.commands() == [encoded(command) for command in expected]
    copy = caught_up(*pair)
    assert stats(copy, "m")["calls"] == 0
    assert copy.call("AI.TENSORGET", "scalar", "META") == [b"dtype", b"FLOAT", b"shape", []]


def test_outputs_of_every_type(pair):
    primary, replica = pair
    raw = primary.raw()
    for dtype in onnx_models.DTYPES:
        store_model(raw, "i", onnx_models.identity(dtype))
        values = ["a", ""] if dtype == "STRING" else ["1", "0"]
        assert raw.call("AI.TENSORSET", "in", dtype, 2, 1, "VALUES", *values) == OK
        assert execute(raw, "i", ["in"], [f"out {dtype}"]) == OK
    copy = caught_up(*pair)
    for dtype in onnx_models.DTYPES:
        assert copy.call("AI.TENSORGET", f"out {dtype}") == raw.call("AI.TENSORGET", f"out {dtype}")


def test_outputs_without_elements(pair):
    """A client could not set such a tensor; the replica has it all the same."""
    primary, replica = pair
    raw = primary.raw()
    store_model(raw, "zero", onnx_models.non_zero())
    set_tensor(raw, "zeros", np.zeros((2, 3), dtype=np.float32))
    assert execute(raw, "zero", ["zeros"], ["none"]) == OK
    assert raw.call("AI.TENSORGET", "none", "META")[3] == [2, 0]
    assert caught_up(*pair).call("AI.TENSORGET", "none") == raw.call("AI.TENSORGET", "none")


@pytest.mark.parametrize("is_copied_first", [False, True], ids=["as a command", "in the data file"])
def test_a_tensor_above_the_limit_of_the_replica(start_server, is_copied_first):
    """It was within the primary's: a replica that refused it would differ from then on."""
    primary = start_server(config=PRIMARY)
    raw = primary.raw()
    replica = start_server("MAX_TENSOR_SIZE", "1024", config=PRIMARY)
    copy = replica.raw()

    def follow():
        assert copy.call("REPLICAOF", "127.0.0.1", primary.port) == OK
        eventually(lambda: replica.info("replication").get("master_link_status") == "up", "the replica is connected")

    if not is_copied_first:
        follow()
    values = ["x" * 1000, "y" * 1000]
    assert raw.call("AI.TENSORSET", "blob", "FLOAT", 1000, "BLOB", bytes(4000)) == OK
    assert raw.call("AI.TENSORSET", "zeros", "FLOAT", 1000) == OK
    assert raw.call("AI.TENSORSET", "values", "INT64", 500, "VALUES", *range(500)) == OK
    assert raw.call("AI.TENSORSET", "text", "STRING", 2, "VALUES", *values) == OK
    if is_copied_first:
        follow()
    caught_up(primary, replica)
    assert copy.call("REPLICAOF", "NO", "ONE") == OK
    assert isinstance(copy.call("AI.TENSORSET", "blob", "FLOAT", 1000, "BLOB", bytes(4000)), Error)
    assert isinstance(copy.call("AI.TENSORSET", "text", "STRING", 2, "VALUES", *values), Error)
    assert copy.call("AI.TENSORGET", "zeros", "BLOB") == bytes(4000)


def test_nothing_arrives_of_what_failed_or_only_read(pair):
    primary, replica = pair
    listener, raw = Listener(*pair), primary.raw()
    raw.call("SET", "s", "text")
    refused = [
        words("AI.TENSORSET t FLOAT 1 VALUES x"),
        words("AI.TENSORSET s FLOAT 1 VALUES 1"),
        words("AI.MODELSTORE s ONNX CPU BLOB x"),
        words("AI.MODELDEL none"),
        words("AI.MODELEXECUTE m INPUTS 1 none OUTPUTS 1 y"),
        words("AI.MODELEXECUTE m INPUTS 1 x OUTPUTS 1 s"),
    ]
    for command in refused:
        assert isinstance(raw.call(*command), Error), command
    for command in ("AI.TENSORGET x", "AI.MODELGET m META", "AI.INFO m", "AI.INFO m RESETSTAT", "AI._MODELSCAN"):
        assert not isinstance(raw.call(*words(command)), Error), command
    assert raw.call(*words("AI.CONFIG MODEL_CHUNK_SIZE 1000")) == OK
    assert listener.commands() == [[b"SET", b"s", b"text"]]


def test_in_transactions_and_scripts_of_the_server(pair):
    primary, replica = pair
    raw = primary.raw()
    commands = [["MULTI"], words("AI.TENSORSET t INT8 1 VALUES 3"), store_command("n", MODEL), ["EXEC"]]
    assert raw.pipeline(commands)[3] == [OK, OK]
    lua = 'redis.call("AI.TENSORSET", KEYS[1], "INT8", 1, "VALUES", 4)'
    assert raw.call("EVAL", lua, 1, "u") is None
    copy = caught_up(*pair)
    assert (get_tensor(copy, "t").tolist(), get_tensor(copy, "u").tolist()) == ([3], [4])
    assert copy.call("AI.MODELGET", "n", "BLOB") == MODEL


def test_a_promoted_replica_runs_its_models(pair):
    primary, replica = pair
    raw = caught_up(*pair)
    for command in (
        "AI.MODELEXECUTE m INPUTS 1 x OUTPUTS 1 y",
        "AI.TENSORSET t INT8 1",
        "AI.MODELDEL m",
        "AI.CONFIG GET x",
    ):
        reply = raw.call(*words(command))
        assert isinstance(reply, Error) and reply.text.startswith("READONLY "), (command, reply)
    assert raw.call("REPLICAOF", "NO", "ONE") == OK
    assert execute(raw, "m", ["x"], ["y"]) == OK
    assert get_tensor(raw, "y").tolist() == [2, 3]


def test_a_run_on_a_primary_that_becomes_a_replica(start_server, pair):
    """Its outputs may not be written any more when they are there."""
    primary, _ = pair
    other = start_server(config=PRIMARY)
    raw = primary.raw()
    store_model(raw, "loop", onnx_models.counting_loop())
    set_tensor(raw, "n", [200_000], "INT64")
    set_tensor(raw, "zero", [0])
    with primary.raw() as waiting:
        waiting.send(*words("AI.MODELEXECUTE loop INPUTS 2 n zero OUTPUTS 1 late"))
        eventually(lambda: primary.info("clients")["blocked_clients"] == "1", "the run is queued")
        assert raw.call("REPLICAOF", "127.0.0.1", other.port) == OK
        reply = waiting.read()
    assert isinstance(reply, Error), reply
    eventually(lambda: primary.info("replication").get("master_link_status") == "up", "the replica is connected")
    assert raw.call("EXISTS", "late") == 0
