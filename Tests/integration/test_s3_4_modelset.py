"""Reference section 3.4: AI.MODELSET stores what AI.MODELSTORE would. Its errors are in test_s4_4_modelset_errors.py."""

import numpy as np
import pytest

from support import engines, onnx_models, tf_models
from support.commands import execute, get_tensor, pairs, set_tensor, stats, store_model, words
from support.engines import ENGINES
from support.resp import OK, QUEUED
from support.wait import eventually

# Replicas get their copy at once.
SERVER_CONFIG = ("--repl-diskless-sync-delay", "0")
MUL = onnx_models.mul()


def set_mul(raw, key="m", *options):
    """AI.MODELSET of a TF model with two inputs."""
    command = ["AI.MODELSET", key, "TF", "CPU", *options, "INPUTS", "a", "b", "OUTPUTS", "mul", "BLOB", tf_models.mul()]
    assert raw.call(*command) == OK


def meta(raw, key="m"):
    return pairs(raw.call("AI.MODELGET", key, "META"))


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
def test_every_engine(raw, engine):
    """The model is the same, to the byte, as one that AI.MODELSTORE stores."""
    names = [word for word in engine.names if word != 1]
    assert raw.call("AI.MODELSET", "m", engine.name, "CPU", "TAG", "t", *names, "BLOB", engine.model()) == OK
    engines.assert_doubles(raw, "m")
    assert raw.call("AI.MODELSTORE", "n", engine.name, "CPU", "TAG", "t", *engine.names, "BLOB", engine.model()) == OK
    assert raw.call("AI.MODELGET", "m") == raw.call("AI.MODELGET", "n")
    assert raw.call("DUMP", "m") == raw.call("DUMP", "n")


@pytest.mark.parametrize(
    "options, tag, batching",
    [
        ("", b"", (0, 0, 0)),
        ("TAG v1", b"v1", (0, 0, 0)),
        ("TAG v1 BATCHSIZE 8", b"v1", (8, 0, 0)),
        ("BATCHSIZE 0", b"", (0, 0, 0)),
        ("BATCHSIZE 8 MINBATCHSIZE 0", b"", (8, 0, 0)),
        ("BATCHSIZE 8 MINBATCHSIZE 2 MINBATCHTIMEOUT 0", b"", (8, 2, 0)),
        ("tag v1 batchsize 8.0 minbatchsize 2 minbatchtimeout 30", b"v1", (8, 2, 30)),
        ("TAG BLOB", b"BLOB", (0, 0, 0)),
        # What is no option where it stands is ignored.
        ("INPUTS a OUTPUTS b", b"", (0, 0, 0)),
        ("BATCHSIZE 8 TAG t", b"", (8, 0, 0)),
        ("FOO", b"", (0, 0, 0)),
    ],
)
def test_options(raw, options, tag, batching):
    assert raw.call("AI.MODELSET", "m", "ONNX", "CPU", *options.split(), "BLOB", MUL) == OK
    stored = meta(raw)
    assert stored["tag"] == tag
    assert (stored["batchsize"], stored["minbatchsize"], stored["minbatchtimeout"]) == batching


def test_names_without_counts(raw):
    set_mul(raw, "m", "TAG", "t", "BATCHSIZE", 4)
    assert (meta(raw)["inputs"], meta(raw)["outputs"]) == ([b"a", b"b"], [b"mul"])
    set_tensor(raw, "x", [[1, 2], [3, 4]])
    assert execute(raw, "m", ["x", "x"], ["y"]) == OK
    assert get_tensor(raw, "y").tolist() == [[1, 4], [9, 16]]


@pytest.mark.parametrize("device", ["CPU", "cpu", "CPU:1", "cPu:12345"])
def test_device_is_kept_as_sent(raw, device):
    assert raw.call("AI.MODELSET", "m", "ONNX", device, "BLOB", MUL) == OK
    assert meta(raw)["device"] == device.encode()


def test_lower_case_words(raw):
    assert raw.call("ai.modelset", "m", "onnx", "cpu", "blob", MUL) == OK


def test_chunks_are_joined(raw):
    assert raw.call("AI.MODELSET", "m", "ONNX", "CPU", "BLOB", MUL[:9], b"", MUL[9:]) == OK
    assert raw.call("AI.MODELGET", "m", "BLOB") == MUL


def test_storing_again_replaces_the_model_and_its_counters(raw):
    store_model(raw, "m", onnx_models.add_constant(1), "TAG", "one")
    raw.call("EXPIRE", "m", 1000)
    set_tensor(raw, "x", [1])
    assert execute(raw, "m", ["x"], ["y"]) == OK

    assert raw.call("AI.MODELSET", "m", "ONNX", "CPU", "BLOB", onnx_models.add_constant(10)) == OK
    assert (stats(raw, "m")["calls"], stats(raw, "m")["tag"], raw.call("TTL", "m")) == (0, b"", -1)
    assert execute(raw, "m", ["x"], ["y"]) == OK
    assert get_tensor(raw, "y").tolist() == [11]


def test_other_clients_are_served_while_a_model_is_built(server, raw):
    raw.send("AI.MODELSET", "m", "ONNX", "CPU", "BLOB", onnx_models.big_weights(60))
    with server.raw() as other:
        set_tensor(other, "t", np.zeros(3, dtype=np.float32))
    assert raw.read() == OK


def test_in_a_transaction_and_in_lua(raw):
    command = ["AI.MODELSET", "m", "ONNX", "CPU", "BLOB", MUL]
    assert raw.pipeline([["MULTI"], command, ["EXEC"]]) == [OK, QUEUED, [OK]]
    assert raw.call("EVAL", "return redis.call(unpack(ARGV))", 0, "AI.MODELSET", "n", *command[2:]) == OK
    assert raw.call("AI._MODELSCAN") == [[b"m", b""], [b"n", b""]]


def test_replicas_get_the_command_as_it_was_sent(server, raw, start_server):
    replica = start_server(config=("--replicaof", f"127.0.0.1 {server.port}"))
    eventually(lambda: replica.info("replication").get("master_link_status") == "up", "the replica is connected")
    replica.raw().call("CONFIG", "RESETSTAT")
    set_mul(raw, "m", "TAG", "t", "BATCHSIZE", 4)
    copy = replica.raw()
    eventually(lambda: copy.call("EXISTS", "m"), "the replica has the model")
    statistics = replica.info("commandstats")
    assert statistics["cmdstat_ai.modelset"].startswith("calls=1,")
    assert "cmdstat_ai.modelstore" not in statistics
    assert copy.call("AI.MODELGET", "m") == raw.call("AI.MODELGET", "m")


@pytest.mark.parametrize("is_rewritten", [False, True], ids=["as sent", "rewritten"])
def test_append_only_file(start_server, is_rewritten):
    """A model may lack inputs or outputs, which AI.MODELSTORE has no words for."""
    server = start_server(config=("--appendonly", "yes", "--appendfsync", "always", "--aof-use-rdb-preamble", "no"))
    raw = server.raw()
    set_mul(raw, "m", "TAG", "t", "BATCHSIZE", 4, "MINBATCHSIZE", 2)
    blob = tf_models.constant()
    assert raw.call(*words("AI.MODELSET source TF CPU TAG t BATCHSIZE 4 INPUTS OUTPUTS output BLOB", blob)) == OK
    assert raw.call(*words("AI.MODELSET sink TF CPU INPUTS input OUTPUTS BLOB", blob)) == OK
    assert raw.call(*words("AI.MODELSET nothing TF CPU INPUTS OUTPUTS BLOB", blob)) == OK
    keys = ["m", "source", "sink", "nothing"]
    before = [raw.call("AI.MODELGET", key) for key in keys]
    if is_rewritten:
        raw.call("BGREWRITEAOF")
        eventually(lambda: server.info("persistence")["aof_rewrite_in_progress"] == "0", "the file is rewritten")
        assert server.info("persistence")["aof_last_bgrewrite_status"] == "ok"
    server.kill9()
    server.start()
    raw = server.raw()
    assert [raw.call("AI.MODELGET", key) for key in keys] == before
    set_tensor(raw, "x", [[1, 2], [3, 4]])
    assert execute(raw, "m", ["x", "x"], ["y"]) == OK
    assert get_tensor(raw, "y").tolist() == [[1, 4], [9, 16]]
