"""Reference section 10.2: whatever the data is, and whichever way it came, a server that reads its append-only file has it
again: every key has the digest that it had."""

import sys
from pathlib import Path

import numpy as np
import pytest

from support import dump, engines, onnx_models, tf_models
from support.commands import execute, pairs, set_tensor, store_command, words
from support.resp import OK, Error
from support.scripts import entry_point, store_script
from support.wait import eventually

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from reliability.restore_mutations import Payloads  # noqa: E402
from reliability.restore_oracle import TYPES  # noqa: E402

APPEND_ONLY = ("--appendonly", "yes", "--appendfsync", "always")
LARGE = onnx_models.big_weights(2)
SOURCE = entry_point("first", "return tensors[0]") + "def sub(a: Tensor, b: Tensor):\n    return a - b\n"
PAYLOADS_PER_TYPE = 3000
KEPT_MODELS = ("options", "large", "old model", "no names")


def rewrite(server):
    server.raw().call("BGREWRITEAOF")
    eventually(lambda: server.info("persistence")["aof_rewrite_in_progress"] == "0", "the file is rewritten", 60)
    assert server.info("persistence")["aof_last_bgrewrite_status"] == "ok"


def digests(raw):
    keys = sorted(raw.call("KEYS", "*"))
    return dict(zip(keys, raw.call("DEBUG", "DIGEST-VALUE", *keys))) if keys else {}


def restart(server):
    server.kill9()
    server.start()
    return server.raw()


def set_everything(raw):
    """All types in every form that can be stored, by commands of today and of earlier times."""
    for index, dtype in enumerate(("FLOAT", "DOUBLE", "INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "BOOL")):
        assert raw.call("AI.TENSORSET", dtype, dtype, 2, 2, "VALUES", 0, 1, 1, index % 2) == OK
        assert raw.call("AI.TENSORSET", f"scalar {dtype}", dtype, "VALUES", 1) == OK
    assert raw.call("AI.TENSORSET", "STRING", "STRING", 2, 2, "VALUES", "a", "", "é", b"\xff") == OK
    assert raw.call("AI.TENSORSET", "scalar STRING", "STRING", "VALUES", "text") == OK
    no_numbers = [0, 32, dump.Signed(2), dump.Signed(3), dump.Signed(0), b""]
    assert raw.call("RESTORE", "no elements", 0, dump.encode("AI_TENSOR", 4, no_numbers)) == OK
    no_strings = [7, 8, dump.Signed(1), dump.Signed(0), b""]
    assert raw.call("RESTORE", "no strings", 0, dump.encode("AI_TENSOR", 4, no_strings)) == OK
    engines.store_all(raw)
    engines.store_script(raw)
    options = words("TAG t\0ag BATCHSIZE 8 MINBATCHSIZE 2 MINBATCHTIMEOUT 50")
    assert raw.call(*store_command("options", onnx_models.mul_by_weights(), *options, device="cpu:1")) == OK
    assert raw.call(*store_command("large", LARGE)) == OK
    names = words("INPUTS a b OUTPUTS mul")
    assert raw.call("AI.MODELSET", "old model", "TF", "CPU", "TAG", "v1", *names, "BLOB", tf_models.mul()) == OK
    assert raw.call("AI.MODELSET", "no names", "TF", "CPU", "INPUTS", "OUTPUTS", "BLOB", tf_models.mul()) == OK
    assert raw.call("AI.SCRIPTSET", "old script", "CPU", "SOURCE", SOURCE) == OK
    store_script(raw, "points", SOURCE, "first", tag="v1")
    set_tensor(raw, "x", np.array([[1, 2, 3]], dtype=np.float32))
    assert raw.call(*words("AI.MODELRUN"), "ONNX CPU", "INPUTS", "x", "OUTPUTS", "run") == OK
    assert raw.call("AI.SCRIPTRUN", "old script", "sub", "INPUTS", "x", "run", "OUTPUTS", "script run") == OK
    graph = ["LOAD", 1, "x", "PERSIST", 1, "dag run", "|>", "AI.MODELRUN", "TFLITE CPU", "INPUTS", "x", "OUTPUTS", "dag run"]
    assert raw.call("AI.DAGRUN", *graph) == [OK]
    assert raw.call("AI.MODELDEL", "TF CPU") == OK
    assert raw.call("RENAME", "TFLITE CPU", "renamed") == OK
    assert raw.call("COPY", "TORCH CPU", "copied") == 1
    assert raw.call("EXPIRE", "copied", 1000) == 1


@pytest.mark.parametrize("preamble", ["yes", "no"])
@pytest.mark.parametrize("is_rewritten", [False, True], ids=["as sent", "rewritten"])
def test_everything(start_server, preamble, is_rewritten):
    """A second rewrite is made of what was read, with models that are not ready yet."""
    server = start_server("MODEL_CHECK", "NO", config=(*APPEND_ONLY, "--aof-use-rdb-preamble", preamble))
    raw = server.raw()
    set_everything(raw)
    before, models = digests(raw), [raw.call("AI.MODELGET", key) for key in KEPT_MODELS]
    for _ in range(2 if is_rewritten else 0):
        rewrite(server)
        raw = restart(server)
        assert digests(raw) == before
    raw = restart(server)
    assert digests(raw) == before
    engines.assert_doubles(raw, "renamed")
    engines.assert_doubles(raw, "copied")
    engines.assert_script_doubles(raw, "ONNX CPU")
    eventually(lambda: server.info("modules")["ai_models_loading"] == "0", "everything is built")
    assert [raw.call("AI.MODELGET", key) for key in KEPT_MODELS] == models
    assert 0 < raw.call("TTL", "copied") <= 1000
    info = server.info("modules")
    assert (info["ai_models_broken"], info["ai_scripts_broken"]) == ("0", "0")


@pytest.mark.parametrize("size", [1, 100, 65_536])
def test_large_models_in_pieces(start_server, size):
    """However small they are set: neither the file nor its reading suffers."""
    server = start_server("MODEL_CHUNK_SIZE", str(size), config=(*APPEND_ONLY, "--aof-use-rdb-preamble", "no"))
    raw = server.raw()
    assert raw.call(*store_command("m", LARGE)) == OK
    rewrite(server)
    [path] = server.directory.glob("appendonlydir/*.base.aof")
    assert path.stat().st_size < 1.2 * len(LARGE)
    before = digests(raw)
    raw = restart(server)
    assert digests(raw) == before
    blob = raw.call("AI.MODELGET", "m", "BLOB")
    assert b"".join(blob) == LARGE
    set_tensor(raw, "x", [1])
    assert execute(raw, "m", ["x"], ["y"]) == OK


@pytest.mark.parametrize("preamble", ["yes", "no"])
def test_whatever_restore_accepts(start_server, preamble):
    """Odd values that only a payload can bring about have a command that makes them as well."""
    server = start_server("BACKENDSPATH", "/nonexistent", config=(*APPEND_ONLY, "--aof-use-rdb-preamble", preamble))
    raw = server.raw()
    payloads = Payloads("append-only file")
    for type_name in TYPES:
        raw.pipeline(
            ["RESTORE", f"{type_name} {number}", 0, dump.seal(payloads.body(type_name, number))]
            for number in range(PAYLOADS_PER_TYPE)
        )
    before = digests(raw)
    assert len(before) > PAYLOADS_PER_TYPE // 2
    rewrite(server)
    raw = restart(server)
    after = digests(raw)
    lost = {key: raw.call("TYPE", key) for key, digest in before.items() if after.get(key) != digest}
    assert not lost, lost
    assert len(after) == len(before)


def test_a_file_that_ends_in_the_middle(start_server):
    """The server goes by what is whole; what is not has never been acknowledged."""
    server = start_server(config=(*APPEND_ONLY, "--aof-load-truncated", "yes", "--aof-use-rdb-preamble", "no"))
    raw = server.raw()
    set_tensor(raw, "first", [1])
    assert raw.call(*store_command("model", onnx_models.add_constant(1))) == OK
    [path] = server.directory.glob("appendonlydir/*.incr.aof")
    whole = path.stat().st_size
    assert raw.call(*store_command("cut model", LARGE)) == OK
    end = path.stat().st_size
    for size in (end - 1, end - len(LARGE) // 2, whole + 60, whole + 1, whole):
        server.kill9()
        with path.open("rb+") as file:
            file.truncate(size)
        server.start()
        raw = server.raw()
        assert sorted(raw.call("KEYS", "*")) == [b"first", b"model"]
        assert execute(raw, "model", ["first"], ["y"]) == OK
        assert raw.call("DEL", "y") == 1
        assert raw.call(*store_command("cut model", LARGE)) == OK
        path.write_bytes(path.read_bytes())


def test_what_is_refused_for_want_of_an_engine_is_not_in_the_file(start_server):
    server = start_server("BACKENDSPATH", "/nonexistent", config=APPEND_ONLY)
    raw = server.raw()
    expected = Error("ERR Could not load backend")
    store = store_command("m", LARGE)
    assert raw.call(*store) == expected
    assert raw.pipeline([["MULTI"], store, ["EXEC"]])[2] == [expected]
    assert raw.call("AI.SCRIPTSTORE", "s", "CPU", "ENTRY_POINTS", 1, "first", "SOURCE", SOURCE) == expected
    raw.call("SET", "k", "v")
    text = b"".join(path.read_bytes() for path in server.directory.glob("appendonlydir/*.aof"))
    assert b"AI." not in text
    raw = restart(server)
    assert raw.call("KEYS", "*") == [b"k"]


def test_commands_of_a_server_with_an_engine_are_kept_by_one_without(start_server):
    """Models that are uploaded to a server whose engine is gone when it reads them: they are there, and stay there when the
    file is rewritten."""
    server = start_server(config=(*APPEND_ONLY, "--aof-use-rdb-preamble", "no"))
    raw = server.raw()
    keys = engines.store_all(raw)
    engines.store_script(raw)
    before = digests(raw)
    server.module_args = ("BACKENDSPATH", "/nonexistent")
    raw = restart(server)
    eventually(lambda: server.info("modules")["ai_models_broken"] == "4", "all models are broken")
    assert digests(raw) == before
    rewrite(server)
    server.module_args = ()
    raw = restart(server)
    assert digests(raw) == before
    for key in keys:
        engines.assert_doubles(raw, key)
    assert pairs(raw.call("AI.INFO", "script", "STATE"))["state"] in (b"ready", b"loading")
