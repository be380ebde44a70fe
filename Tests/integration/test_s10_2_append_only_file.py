"""Reference section 10.2: the commands that a rewritten append-only file holds, and that they bring everything back.

Scripts: test_s10_scripts.py. DAGs: test_s10_dags.py.
"""

import numpy as np
import pytest

from support import onnx_models, tf_models
from support.commands import NUMPY_TYPES, execute, get_tensor, pairs, set_tensor, stats, store_model, words
from support.resp import OK
from support.wait import eventually

CONFIG = ("--appendonly", "yes", "--appendfsync", "always", "--aof-use-rdb-preamble", "no")
MODEL = onnx_models.mul_by_weights()


@pytest.fixture
def aof(start_server):
    """A server that writes an append-only file of commands."""
    return start_server(config=CONFIG)


def rewrite(server):
    server.raw().call("BGREWRITEAOF")
    eventually(lambda: server.info("persistence")["aof_rewrite_in_progress"] == "0", "the file is rewritten")
    assert server.info("persistence")["aof_last_bgrewrite_status"] == "ok"


def rewritten(server):
    """The commands of the rewritten file by their first two words."""
    rewrite(server)
    [path] = server.directory.glob("appendonlydir/*.base.aof")
    commands = list(parse(path.read_bytes()))
    return {(command[0].upper(), command[1]): command[2:] for command in commands}


def parse(data):
    """Arrays of bulk strings."""
    position = 0

    def line():
        nonlocal position
        end = data.index(b"\r\n", position)
        text, position = data[position:end], end + 2
        return text

    while position < len(data):
        if data[position : position + 1] == b"#":  # a time
            line()
            continue
        words_of_command = []
        for _ in range(int(line()[1:])):
            length = int(line()[1:])
            words_of_command.append(data[position : position + length])
            position += length + 2
        yield words_of_command


def restart(server):
    """Without saving: the file alone brings the data back."""
    server.kill9()
    server.start()
    return server.raw()


def test_tensors(aof):
    raw = aof.raw()
    set_tensor(raw, "matrix", [[1, 2, 3], [4, 5, 6]], "INT16")
    raw.call(*words("AI.TENSORSET scalar DOUBLE VALUES 0.5"))
    raw.call(*words("AI.TENSORSET text STRING 3 VALUES a", "", "é"))
    commands = rewritten(aof)
    assert commands[b"AI.TENSORSET", b"matrix"] == [
        b"INT16",
        b"2",
        b"3",
        b"BLOB",
        np.arange(1, 7, dtype=np.int16).tobytes(),
    ]
    assert commands[b"AI.TENSORSET", b"scalar"] == [b"DOUBLE", b"BLOB", np.float64(0.5).tobytes()]
    assert commands[b"AI.TENSORSET", b"text"] == [b"STRING", b"3", b"BLOB", b"a\0\0\xc3\xa9\0"]


def test_models(aof):
    """All options always, zeros included."""
    raw = aof.raw()
    store_model(raw, "plain", MODEL)
    store_model(raw, "full", MODEL, *words("TAG v1 BATCHSIZE 8 MINBATCHSIZE 2 MINBATCHTIMEOUT 50"), device="cpu:1")
    names = words("INPUTS 2 a b OUTPUTS 1 mul")
    assert raw.call("AI.MODELSTORE", "tf", "tf", "CPU", *names, "BLOB", tf_models.mul()) == OK
    commands = rewritten(aof)
    options = [b"TAG", b"", b"BATCHSIZE", b"0", b"MINBATCHSIZE", b"0", b"MINBATCHTIMEOUT", b"0"]
    assert commands[b"AI.MODELSTORE", b"plain"] == [b"ONNX", b"CPU", *options, b"BLOB", MODEL]
    numbers = [b"TAG", b"v1", b"BATCHSIZE", b"8", b"MINBATCHSIZE", b"2", b"MINBATCHTIMEOUT", b"50"]
    assert commands[b"AI.MODELSTORE", b"full"] == [b"ONNX", b"cpu:1", *numbers, b"BLOB", MODEL]
    assert commands[b"AI.MODELSTORE", b"tf"] == [
        *(b"TF", b"CPU", *options, *(word.encode() for word in names), b"BLOB", tf_models.mul())
    ]


def test_models_in_chunks(aof):
    raw = aof.raw()
    store_model(raw, "m", MODEL)
    assert raw.call("AI.CONFIG", "MODEL_CHUNK_SIZE", 50) == OK
    command = rewritten(aof)[b"AI.MODELSTORE", b"m"]
    chunks = command[command.index(b"BLOB") + 1 :]
    assert len(chunks) >= len(MODEL) // 50 and all(len(chunk) == 50 for chunk in chunks[:-1])
    assert b"".join(chunks) == MODEL


@pytest.mark.parametrize("is_rewritten", [True, False], ids=["rewritten", "as sent"])
def test_everything_is_as_before(aof, is_rewritten):
    raw = aof.raw()
    for dtype, numpy_type in NUMPY_TYPES.items():
        set_tensor(raw, dtype, (np.arange(6).reshape(2, 3) % 2).astype(numpy_type))
        set_tensor(raw, f"scalar {dtype}", np.array(1, dtype=numpy_type))
    raw.call("AI.TENSORSET", "STRING", "STRING", 2, 2, "VALUES", "a", "", "é", b"\xff")
    raw.call("AI.TENSORSET", b"key \0\r\n\xff", "BOOL", 1)
    set_tensor(raw, "expires", [1])
    raw.call("EXPIRE", "expires", 1000)
    set_tensor(raw, "x", np.ones((3, 2), dtype=np.float32))
    store_model(
        raw, "m", MODEL, "TAG", b"v\0\xff", "BATCHSIZE", 8, "MINBATCHSIZE", 2, "MINBATCHTIMEOUT", 50, device="cpu"
    )
    store_model(raw, "plain", onnx_models.add_constant(1))
    store_model(raw, "zero", onnx_models.non_zero())
    set_tensor(raw, "zeros", np.zeros((2, 3), dtype=np.float32))
    assert execute(raw, "plain", ["x"], ["y"]) == OK
    assert execute(raw, "zero", ["zeros"], ["no elements"]) == OK
    raw.call("SELECT", 9)
    set_tensor(raw, "other", [9])
    raw.call("SELECT", 0)
    if is_rewritten:
        rewrite(aof)
    digest, models = raw.call("DEBUG", "DIGEST"), [raw.call("AI.MODELGET", key) for key in ("m", "plain", "zero")]
    raw = restart(aof)
    assert raw.call("DEBUG", "DIGEST") == digest
    assert execute(raw, "m", ["x"], ["z"]) == OK
    assert get_tensor(raw, "z").tolist() == [[1, 2], [3, 4], [5, 6]]
    assert execute(raw, "plain", ["x"], ["z"]) == OK
    assert execute(raw, "zero", ["zeros"], ["z"]) == OK
    assert [raw.call("AI.MODELGET", key) for key in ("m", "plain", "zero")] == models
    assert get_tensor(raw, "y").tolist() == [[2, 2]] * 3
    assert raw.call("AI.TENSORGET", "no elements", "META")[3] == [2, 0]
    assert 0 < raw.call("TTL", "expires") <= 1000
    assert stats(raw, "plain")["calls"] == 1
    assert raw.call("AI._MODELSCAN") == [[b"m", b"v\0\xff"], [b"plain", b""], [b"zero", b""]]
    raw.call("SELECT", 9)
    assert get_tensor(raw, "other").tolist() == [9]


def test_a_run_is_in_the_file_as_its_outputs(aof):
    """Reading it back runs no model: the model may be another one by then."""
    raw = aof.raw()
    store_model(raw, "m", onnx_models.add_constant(1))
    set_tensor(raw, "x", [1])
    assert execute(raw, "m", ["x"], ["y"]) == OK
    store_model(raw, "m", onnx_models.add_constant(1000))
    text = b"".join(path.read_bytes() for path in sorted(aof.directory.glob("appendonlydir/*.incr.aof")))
    assert b"MODELEXECUTE" not in text.upper()
    raw = restart(aof)
    assert get_tensor(raw, "y").tolist() == [2]
    assert pairs(raw.call("AI.MODELGET", "m"))["blob"] == onnx_models.add_constant(1000)


def test_models_that_a_key_held_before_do_not_wait_for_loaders(start_server):
    """The file has every one of them; after reading it back clients are not told that too many wait."""
    server = start_server("MAX_PENDING_LOADS", "50", config=CONFIG)
    raw = server.raw()
    # In a transaction a client does not wait for a model.
    for number in range(4):
        stores = [["AI.MODELSTORE", "m", "ONNX", "CPU", "TAG", f"v{number}", "BLOB", onnx_models.big_weights(1)]] * 40
        assert raw.pipeline([["MULTI"], *stores, ["EXEC"]])[-1] == [OK] * 40
    set_tensor(raw, "x", [1])
    raw = restart(server)
    store_model(raw, "other", onnx_models.add_constant(1))
    assert execute(raw, "other", ["x"], ["y"]) == OK
    assert pairs(raw.call("AI.MODELGET", "m", "META"))["tag"] == b"v3"
