"""What the server does with any key (COPY, RENAME, MOVE, SWAPDB, expiry, UNLINK, FLUSHALL, DEBUG DIGEST, MEMORY USAGE, active
defragmentation) it does with tensors, models and scripts: without copies, and without anybody waiting for memory."""

import time

import numpy as np
import pytest

from support import engines, onnx_models, tf_models
from support.commands import execute, get_tensor, set_tensor, store_command, store_model
from support.resp import OK, Error
from support.scripts import entry_point, store_script
from support.wait import eventually

MEGABYTE = 1_000_000
LARGE = onnx_models.big_weights(16)
SOURCE = entry_point("first", "return tensors[0]")
NUMBERS = np.arange(4_000_000, dtype=np.float32)


@pytest.fixture
def values(raw):
    """One large value of each type that has one."""
    set_tensor(raw, "tensor", NUMBERS)
    store_model(raw, "model", LARGE)
    store_script(raw, "script", SOURCE, "first")
    return ["tensor", "model", "script"]


def digest(raw, *keys):
    return raw.call("DEBUG", "DIGEST-VALUE", *keys)


def assert_usable(raw, prefix=""):
    assert np.array_equal(get_tensor(raw, f"{prefix}tensor"), NUMBERS)
    set_tensor(raw, "x", [1])
    assert execute(raw, f"{prefix}model", ["x"], ["y"]) == OK
    run = ["AI.SCRIPTEXECUTE", f"{prefix}script", "first", "INPUTS", 1, "x", "OUTPUTS", 1, "z"]
    assert raw.call(*run) == OK


def test_a_copy_shares_the_value(server, raw, values):
    before = server.used_memory()
    for key in values:
        for number in range(20):
            assert raw.call("COPY", key, f"{number}{key}") == 1
    assert server.used_memory() < before + MEGABYTE
    for key in values:
        assert len(set(digest(raw, key, *(f"{number}{key}" for number in range(20))))) == 1
    assert raw.call("DEL", *values) == 3
    assert_usable(raw, "7")
    set_tensor(raw, "7tensor", [1])
    assert np.array_equal(get_tensor(raw, "8tensor"), NUMBERS)


def test_a_value_moves(raw, values):
    before = digest(raw, *values)
    for key in values:
        assert raw.call("RENAME", key, f"a {key}") == OK
        assert raw.call("MOVE", f"a {key}", 3) == 1
    assert raw.call("SWAPDB", 3, 4) == OK
    assert raw.call("SELECT", 4) == OK
    assert digest(raw, *(f"a {key}" for key in values)) == before
    assert_usable(raw, "a ")
    for key in values:
        assert raw.call("COPY", f"a {key}", key, "DB", 0, "REPLACE") == 1
    assert raw.call("SELECT", 0) == OK
    assert_usable(raw)


@pytest.mark.parametrize(
    "commands",
    [
        [["DEL", "tensor", "model", "script"]],
        [["UNLINK", "tensor", "model", "script"]],
        [["PEXPIRE", key, 20] for key in ("tensor", "model", "script")],
        [["FLUSHALL", "ASYNC"]],
        [["FLUSHALL", "SYNC"]],
        [["SET", key, "text"] for key in ("tensor", "model", "script")],
    ],
    ids=["DEL", "UNLINK", "expiry", "FLUSHALL ASYNC", "FLUSHALL SYNC", "SET"],
)
def test_memory_comes_back(server, raw, commands):
    """All of it, whoever gave the value up."""
    store_script(raw, "a script", SOURCE, "first")
    store_model(raw, "a model", onnx_models.add_constant(1))
    assert raw.call("DEL", "a script", "a model") == 2
    before = server.used_memory()
    set_tensor(raw, "tensor", NUMBERS)
    store_model(raw, "model", LARGE)
    store_script(raw, "script", SOURCE, "first")
    assert server.used_memory() > before + 30 * MEGABYTE
    for command in commands:
        assert not isinstance(raw.call(*command), Error), command
    eventually(lambda: server.used_memory() < before + MEGABYTE, "the memory is given back")
    eventually(lambda: server.info("modules")["ai_models_ready"] == "0", "no model is left")


def test_large_tensors_are_freed_by_another_thread(server, raw):
    """UNLINK hands what is large over; the effort that the type tells decides."""

    def handed_over():
        return int(server.info("stats" if "lazyfreed_objects" in server.info("stats") else "memory")["lazyfreed_objects"])

    before = handed_over()
    set_tensor(raw, "large", NUMBERS)
    set_tensor(raw, "small", [1])
    assert raw.call("UNLINK", "small") == 1
    assert raw.call("UNLINK", "large") == 1
    eventually(lambda: handed_over() == before + 1, "the large one is freed in the background")


def test_everything_at_once_is_freed_while_models_run(server, raw):
    """FLUSHALL ASYNC frees in the server's thread what runs in ours."""
    clients = [server.raw() for _ in range(4)]
    for _ in range(5):
        for number in range(20):
            store_model(raw, f"m{number}", onnx_models.add_constant(number))
            set_tensor(raw, f"x{number}", np.ones(200_000, dtype=np.float32))
        for client in clients:
            for number in range(20):
                client.send("AI.MODELEXECUTE", f"m{number}", "INPUTS", 1, f"x{number}", "OUTPUTS", 1, f"y{number}")
        assert raw.call("FLUSHALL", "ASYNC") == OK
        for client in clients:
            for _ in range(20):
                reply = client.read()
                assert reply == OK or isinstance(reply, Error), reply
        assert raw.call("FLUSHALL") == OK
    eventually(lambda: server.info("modules")["ai_models_ready"] == "0", "no model is left")
    assert server.responsive()


DIFFERENT_MODELS = {
    "as it is": ("ONNX", "CPU", [], onnx_models.mul_by_weights()),
    "device": ("ONNX", "CPU:1", [], onnx_models.mul_by_weights()),
    "tag": ("ONNX", "CPU", ["TAG", "t"], onnx_models.mul_by_weights()),
    "batch size": ("ONNX", "CPU", ["BATCHSIZE", 8], onnx_models.mul_by_weights()),
    "minimum": ("ONNX", "CPU", ["BATCHSIZE", 8, "MINBATCHSIZE", 2], onnx_models.mul_by_weights()),
    "timeout": (
        *("ONNX", "CPU", ["BATCHSIZE", 8, "MINBATCHSIZE", 2, "MINBATCHTIMEOUT", 5], onnx_models.mul_by_weights()),
    ),
    "bytes": ("ONNX", "CPU", [], onnx_models.mul()),
    "names": ("TF", "CPU", ["INPUTS", 2, "a", "b", "OUTPUTS", 1, "mul"], tf_models.mul()),
    "order of names": ("TF", "CPU", ["INPUTS", 2, "b", "a", "OUTPUTS", 1, "mul"], tf_models.mul()),
    "side of names": ("TF", "CPU", ["INPUTS", 1, "a", "OUTPUTS", 2, "b", "mul"], tf_models.mul()),
}


def test_digests_tell_values_apart(raw):
    """And nothing else does: not the name, nor how the bytes came or lie in memory."""
    for name, (backend, device, options, blob) in DIFFERENT_MODELS.items():
        assert raw.call("AI.MODELSTORE", name, backend, device, *options, "BLOB", blob) == OK
    assert len(set(digest(raw, *DIFFERENT_MODELS))) == len(DIFFERENT_MODELS)
    blob = onnx_models.mul_by_weights()
    assert raw.call("AI.MODELSTORE", "pieces", "onnx", "CPU", "BLOB", *(blob[i : i + 7] for i in range(0, len(blob), 7))) == OK
    assert digest(raw, "pieces") == digest(raw, "as it is")
    tensors = {"a": ("FLOAT", 2), "b": ("INT32", 2), "c": ("FLOAT", 1, 2), "d": ("FLOAT", 2, 1), "e": ("BOOL", 8)}
    for name, words in tensors.items():
        assert raw.call("AI.TENSORSET", name, *words) == OK
    assert len(set(digest(raw, *tensors))) == len(tensors)


def test_memory_usage_is_told_at_once(raw, values):
    start = time.monotonic()
    for _ in range(200):
        assert raw.call("MEMORY", "USAGE", "tensor") >= NUMBERS.nbytes
        assert raw.call("MEMORY", "USAGE", "model") >= len(LARGE)
    assert time.monotonic() - start < 5


def test_active_defragmentation_does_no_harm(start_server):
    """The server may move what it knows: tensors and models stay where engines read them. A server whose allocator it cannot
    ask to move anything says so; of ours Redis 8 can."""
    server = start_server()
    raw = server.raw()
    reply = raw.call("CONFIG", "SET", "activedefrag", "yes")
    if reply != OK:
        assert isinstance(reply, Error) and "defrag" in reply.text, reply
        assert server.kind != "redis8"
    for name, value in (("ignore-bytes", "1"), ("threshold-lower", "0"), ("cycle-min", "50"), ("cycle-max", "75")):
        assert raw.call("CONFIG", "SET", f"active-defrag-{name}", value) == OK
    engines.store(raw, engines.ENGINES[engines.NAMES.index("ONNX")], "m")
    for number in range(20_000):
        raw.send("AI.TENSORSET", f"t{number}", "FLOAT", 40, "BLOB", np.full(40, number, dtype=np.float32).tobytes())
        raw.send("SET", f"s{number}", b"x" * (100 + number % 400))
    assert all(raw.read() == OK for _ in range(40_000))
    raw.pipeline(["DEL", f"t{number}", f"s{number}"] for number in range(20_000) if number % 7)
    expected = raw.call("DEBUG", "DIGEST")
    set_tensor(raw, "rows", engines.ROWS)
    end = time.monotonic() + 3
    while time.monotonic() < end:
        assert execute(raw, "m", ["rows"], ["doubled"]) == OK
        assert np.array_equal(get_tensor(raw, "doubled"), engines.ROWS * 2)
    raw.call("DEL", "rows", "doubled")
    assert raw.call("DEBUG", "DIGEST") == expected
    for number in range(0, 20_000, 7 * 50):
        assert get_tensor(raw, f"t{number}").tolist() == [number] * 40
    if reply == OK:
        assert int(server.info("stats")["active_defrag_hits"]) > 0


def test_blobs_with_nul_bytes(server, raw, read_back):
    """Where they are, and nothing but them: they are bytes like others."""
    blobs = {"one": b"\0", "end": b"model\0", "start": b"\0model", "many": bytes(1000)}
    raw.pipeline([["MULTI"], *(store_command(key, blob) for key, blob in blobs.items()), ["EXEC"]])
    before = digest(raw, *blobs)
    raw = read_back(server)
    assert digest(raw, *blobs) == before
    assert [raw.call("AI.MODELGET", key, "BLOB") for key in blobs] == list(blobs.values())
