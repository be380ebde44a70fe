"""A server whose data needs an engine that is not there, or holds a model that is none: it starts, serves everything else,
says what is broken, and is mended without a restart."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from support import dump, engines, onnx_models
from support.commands import execute, get_tensor, pairs, set_tensor, store_command, words
from support.engines import ENGINES
from support.replication import PRIMARY
from support.resp import OK, QUEUED, Error
from support.wait import eventually

BROKEN = "ERR model is broken: ERR Could not load backend"
ONNX = engines.ENGINES[engines.NAMES.index("ONNX")]
# Trying many models out takes a while on a small machine.
PATIENCE = 60.0
NO_MODEL = b"these are not the bytes of a model"


@pytest.fixture
def backends(tmp_path):
    """A folder for engines, with none in it."""
    folder = tmp_path / "backends"
    folder.mkdir()
    return folder


@pytest.fixture
def install(backends, module_path):
    """Puts an engine in its place in the folder."""

    def put(engine):
        source = Path(module_path).parent / "backends" / Path(engine.library).parent
        target = backends / Path(engine.library).parent
        shutil.copytree(source, target, copy_function=link_or_copy)

    return put


def link_or_copy(source, target):
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def state(raw, key):
    info = pairs(raw.call("AI.INFO", key, "STATE"))
    return info["state"].decode(), info["reason"].decode()


def broken_lines(server):
    return [value for name, value in server.info_lines("modules") if name.startswith("ai_broken_")]


def restart_without_engines(server, backends):
    server.module_args = ("BACKENDSPATH", str(backends))
    server.restart()
    return server.raw()


@pytest.mark.parametrize("config", [(), ("--appendonly", "yes", "--aof-use-rdb-preamble", "no")], ids=["rdb", "aof"])
def test_engines_are_installed_one_by_one(start_server, backends, install, config):
    server = start_server(config=config)
    raw = server.raw()
    keys = engines.store_all(raw)
    engines.store_script(raw)
    raw.call("SET", "text", "kept")

    raw = restart_without_engines(server, backends)
    assert raw.call("GET", "text") == b"kept"
    set_tensor(raw, "rows", engines.ROWS)
    for engine, key in zip(ENGINES, keys):
        eventually(lambda: state(raw, key)[0] == "broken", "the model is broken", PATIENCE)
        assert state(raw, key) == ("broken", "ERR Could not load backend")
        assert execute(raw, key, ["rows"], ["doubled"]) == Error(BROKEN)
        meta = pairs(raw.call("AI.MODELGET", key))
        assert (meta["backend"], meta["blob"]) == (engine.name.encode(), engine.model())
    eventually(lambda: server.info("modules")["ai_scripts_broken"] == "1", "the script is broken")
    assert server.info("modules")["ai_models_broken"] == "4"
    lines = broken_lines(server)
    assert sorted(line.split(",")[0] for line in lines) == sorted(
        f"key={key.replace(' ', '%20')}" for key in [*keys, "script"]
    )
    assert all(line.endswith("reason=ERR_Could_not_load_backend") for line in lines)
    assert all(f"{engine.name} model '{engine.name}%20CPU' is broken: " in server.log_text() for engine in ENGINES)

    for engine, key in zip(ENGINES, keys):
        install(engine)
        assert raw.call("AI.CONFIG", "LOADBACKEND", engine.name, engine.library) == OK
        # The first run may wait for the model, and gets its answer.
        engines.assert_doubles(raw, key)
        assert state(raw, key) == ("ready", "")
    engines.assert_script_doubles(raw, keys[0])
    info = server.info("modules")
    assert (info["ai_models_broken"], info["ai_scripts_broken"], info["ai_models_ready"]) == ("0", "0", "4")
    assert broken_lines(server) == []


def test_a_store_that_brings_the_engine_mends_what_was_broken(start_server, backends, install):
    """Wherever the models are by now: another name, another database."""
    server = start_server()
    raw = server.raw()
    engines.store(raw, ONNX, "old")
    raw.call("SELECT", 1)
    engines.store(raw, ONNX, "old")
    raw.call("SELECT", 0)
    raw = restart_without_engines(server, backends)
    assert raw.call("RENAME", "old", "new") == OK
    assert raw.call("COPY", "new", "copy") == 1
    assert raw.call(*engines.store_command(ONNX, "another")) == Error("ERR Could not load backend")
    install(ONNX)
    engines.store(raw, ONNX, "another")
    for key in ("new", "copy", "another"):
        engines.assert_doubles(raw, key)
    raw.call("SELECT", 1)
    engines.assert_doubles(raw, "old")


def test_what_is_deleted_while_it_is_broken_leaves_nothing(start_server, backends, install):
    """And a model that takes its place is not touched when the engine comes."""
    server = start_server()
    raw = server.raw()
    model = onnx_models.big_weights(4)
    raw.call(*store_command("m", model))
    raw = restart_without_engines(server, backends)
    payload = raw.call("DUMP", "m")
    eventually(lambda: state(raw, "m")[0] == "broken", "the model is broken")
    assert raw.call("AI.MODELDEL", "m") == OK
    empty = server.used_memory()
    for number in range(20):
        assert raw.call("RESTORE", f"m{number}", 0, payload) == OK
    eventually(lambda: server.info("modules")["ai_models_broken"] == "20", "all are broken", PATIENCE)
    assert raw.call("UNLINK", *(f"m{number}" for number in range(20))) == 20
    eventually(lambda: server.used_memory() < empty + len(model), "the memory is given back")
    assert raw.call("RESTORE", "m", 0, payload) == OK
    eventually(lambda: state(raw, "m")[0] == "broken", "the new model is broken")
    install(ONNX)
    assert raw.call("AI.CONFIG", "LOADBACKEND", "ONNX", ONNX.library) == OK
    set_tensor(raw, "x", [1])
    assert execute(raw, "m", ["x"], ["y"]) == OK
    assert server.info("modules")["ai_models_ready"] == "1"


def test_requests_wait_while_a_model_is_mended(start_server, backends, install):
    server = start_server()
    raw = server.raw()
    engines.store(raw, ONNX, "m")
    raw = restart_without_engines(server, backends)
    set_tensor(raw, "rows", engines.ROWS)
    # Else the model may be loaded only after the engine is in its place, and bring it before LOADBACKEND does.
    eventually(lambda: state(raw, "m")[0] == "broken", "the model is broken", PATIENCE)
    install(ONNX)
    run = words("AI.MODELEXECUTE m INPUTS 1 rows OUTPUTS 1 doubled")
    replies = raw.pipeline([["AI.CONFIG", "LOADBACKEND", "ONNX", ONNX.library], *[run] * 50])
    assert replies[0] == OK and set(replies[1:]) <= {OK, Error(BROKEN)}, replies
    assert replies[-1] == OK
    assert np.array_equal(get_tensor(raw, "doubled"), engines.ROWS * 2)


def test_bytes_that_are_no_model(start_server):
    """They are kept as they are, whatever becomes of the engine, until somebody stores something better."""
    server = start_server()
    raw = server.raw()
    engines.store(raw, ONNX, "good")
    replies = raw.pipeline(
        [["MULTI"], store_command("bad", NO_MODEL, "TAG", "v1"), ["EXEC"]],
    )
    assert replies == [OK, QUEUED, [OK]]
    server.restart()
    raw = server.raw()
    engines.assert_doubles(raw, "good")
    eventually(lambda: state(raw, "bad")[0] == "broken", "the model is broken")
    reason = state(raw, "bad")[1]
    assert "protobuf" in reason
    assert [line.split(",")[:3] for line in broken_lines(server)] == [["key=bad", "type=MODEL", "backend=ONNX"]]
    assert f"the ONNX model 'bad' is broken: {reason}" in server.log_text()
    meta = pairs(raw.call("AI.MODELGET", "bad"))
    assert (meta["tag"], meta["blob"]) == (b"v1", NO_MODEL)
    engines.store(raw, ONNX, "bad")
    engines.assert_doubles(raw, "bad")
    assert broken_lines(server) == []


def test_the_reasons_of_many_and_odd_keys_are_bounded(server, raw):
    """One word each in INFO, lines counted in the log."""
    payload = dump.encode("AI__MODEL", 4, [3, b"CPU\0", b"", 0, 0, 0, 0, 0, 3, 1, b"bad"])
    keys = [b"odd \r\n# %\xff", b"k" * 5000, *(b"key %d" % number for number in range(70))]
    for key in keys:
        assert raw.call("RESTORE", key, 0, payload) == OK
    eventually(lambda: server.info("modules")["ai_models_broken"] == str(len(keys)), "all are broken", PATIENCE)
    lines = broken_lines(server)
    assert len(lines) == 32
    assert all(len(line) < 1000 and not set(line) & set(" \t#") for line in lines)
    assert raw.call("DEL", *keys[2:]) == 70
    eventually(lambda: len(broken_lines(server)) == 2, "two are left")
    assert broken_lines(server)[1].startswith("key=odd%20%0D%0A%23%20%25%FF,type=MODEL,backend=ONNX,reason=")
    assert server.log_text().count("is broken: ") <= 60


def test_a_replica_without_the_engine(start_server, backends, install):
    """It holds the models all the same, and runs them once it has the engine."""
    primary = start_server(config=PRIMARY)
    raw = primary.raw()
    engines.store(raw, ONNX, "before")
    replica = start_server(
        "BACKENDSPATH", str(backends), config=("--replicaof", f"127.0.0.1 {primary.port}")
    )
    engines.store(raw, ONNX, "after")
    copy = replica.raw()
    eventually(lambda: copy.call("EXISTS", "before", "after") == 2, "both models have come")
    eventually(lambda: replica.info("modules")["ai_models_broken"] == "2", "both models are broken there")
    assert copy.call("AI.MODELGET", "after", "BLOB") == ONNX.model()
    eventually(lambda: copy.call("DEBUG", "DIGEST") == raw.call("DEBUG", "DIGEST"), "the replica holds the same")
    install(ONNX)
    # AI.CONFIG counts as a command that writes, here as in RedisAI 1.x.
    assert copy.call("CONFIG", "SET", "replica-read-only", "no") == OK
    assert copy.call("AI.CONFIG", "LOADBACKEND", "ONNX", ONNX.library) == OK
    eventually(lambda: replica.info("modules")["ai_models_ready"] == "2", "both models are ready")
