"""Reference section 10.1: what rdb_save writes (layout 4), and that rdb_load reads what others wrote."""

import numpy as np
import pytest

from support import dump, onnx_models
from support.commands import execute, get_tensor, pairs, set_tensor, store_model
from support.dump import Signed
from support.resp import OK, Error
from support.wait import eventually

# dtype: (code, bits)
CODES = {
    "FLOAT": (2, 32),
    "DOUBLE": (2, 64),
    "INT8": (0, 8),
    "INT16": (0, 16),
    "INT32": (0, 32),
    "INT64": (0, 64),
    "UINT8": (1, 8),
    "UINT16": (1, 16),
    "BOOL": (6, 8),
    "STRING": (7, 8),
}
MODEL = onnx_models.mul_by_weights()
ONNX_ID = 3


def _zeros(dtype: str, elements: int) -> bytes:
    return bytes(elements * CODES[dtype][1] // 8)


@pytest.mark.parametrize("dtype", CODES)
@pytest.mark.parametrize("shape", [(2, 3), (1,)], ids=str)
def test_tensor_as_written(raw, dtype, shape):
    assert raw.call("AI.TENSORSET", "t", dtype, *shape) == OK
    saved = dump.decode(raw.call("DUMP", "t"))
    elements = int(np.prod(shape))
    offsets = list(range(elements)) if dtype == "STRING" else []
    assert (saved.type_name, saved.version) == ("AI_TENSOR", 4)
    assert saved.values == [*CODES[dtype], len(shape), *shape, _zeros(dtype, elements), *offsets]


def test_scalar_as_written(raw):
    assert raw.call("AI.TENSORSET", "t", "INT8", "VALUES", 65) == OK
    assert dump.decode(raw.call("DUMP", "t")).values == [0, 8, 0, b"A"]


def test_strings_as_written(raw):
    assert raw.call("AI.TENSORSET", "t", "STRING", 3, "VALUES", "a", "", "bcd") == OK
    assert dump.decode(raw.call("DUMP", "t")).values == [7, 8, 1, 3, b"a\0\0bcd\0", 0, 2, 3]


def test_model_as_written(raw):
    store_model(raw, "m", MODEL, "TAG", "v1", "BATCHSIZE", 8, "MINBATCHSIZE", 2, "MINBATCHTIMEOUT", 50, device="cpu")
    saved = dump.decode(raw.call("DUMP", "m"))
    assert (saved.type_name, saved.version) == ("AI__MODEL", 4)
    head, rest = saved.values[:6], saved.values[6:]
    assert head == [ONNX_ID, b"cpu\0", b"v1", 8, 2, 50]
    assert _after_names(rest) == [len(MODEL), 1, MODEL]


def test_model_is_written_in_chunks(raw):
    assert raw.call("AI.CONFIG", "MODEL_CHUNK_SIZE", 50) == OK
    try:
        store_model(raw, "m", MODEL)
        length, count, *chunks = _after_names(dump.decode(raw.call("DUMP", "m")).values[6:])
    finally:
        raw.call("AI.CONFIG", "MODEL_CHUNK_SIZE", 535822336)
    assert (length, count, b"".join(chunks)) == (len(MODEL), len(chunks), MODEL)
    assert max(map(len, chunks)) == 50


@pytest.mark.parametrize(
    "values, reply",
    [
        ([2, 32, Signed(2), Signed(1), Signed(2), b"\0\0\x80?\0\0\0@"], [b"FLOAT", [1, 2], [b"1", b"2"]]),
        ([0, 64, Signed(0), (7).to_bytes(8, "little")], [b"INT64", [], [7]]),
        ([6, 8, Signed(1), Signed(2), b"\1\0"], [b"BOOL", [2], [1, 0]]),
        ([1, 16, Signed(1), Signed(1), b"\xff\xff"], [b"UINT16", [1], [65535]]),
        ([7, 8, Signed(1), Signed(2), b"a\0bc\0", 0, 2], [b"STRING", [2], [b"a", b"bc"]]),
        ([2, 32, Signed(2), Signed(2), Signed(0), b""], [b"FLOAT", [2, 0], []]),
    ],
    ids=["float", "scalar", "bool", "uint16", "string", "zero-dim"],
)
def test_tensor_written_by_another(raw, values, reply):
    assert raw.call("RESTORE", "t", 0, dump.encode("AI_TENSOR", 4, values)) == OK
    got = raw.call("AI.TENSORGET", "t", "META", "VALUES")
    assert [got[1], got[3], got[5]] == reply


@pytest.mark.parametrize("names", [[0, 0], [1, b"x\0", 1, b"y\0"], [1, b"q\0", 0]], ids=["none", "same", "other"])
@pytest.mark.parametrize("chunks", [1, 3])
def test_model_written_by_another(raw, names, chunks):
    """The names are for TF only; ONNX takes them from the graph."""
    size = -(-len(MODEL) // chunks)
    parts = [MODEL[i : i + size] for i in range(0, len(MODEL), size)]
    values = [ONNX_ID, b"CPU\0", b"tag", 4, 2, 10, *names, len(MODEL), len(parts), *parts]
    assert raw.call("RESTORE", "m", 0, dump.encode("AI__MODEL", 4, values)) == OK
    set_tensor(raw, "x", np.ones((3, 2), dtype=np.float32))
    assert execute(raw, "m", ["x"], ["y"]) == OK
    assert get_tensor(raw, "y").tolist() == [[1, 2], [3, 4], [5, 6]]
    meta = pairs(raw.call("AI.MODELGET", "m"))
    assert (meta["tag"], meta["batchsize"], meta["minbatchsize"], meta["minbatchtimeout"]) == (b"tag", 4, 2, 10)
    assert (meta["inputs"], meta["outputs"], meta["blob"]) == ([b"x"], [b"y"], MODEL)
    eventually(lambda: raw.call("AI._MODELSCAN") == [[b"m", b"tag"]], "the model is listed")


HUGE = 2**62
HOSTILE_TENSORS = {
    "no-values": [],
    "unknown-code": [9, 32, Signed(1), Signed(1), b"\0\0\0\0"],
    "unknown-bits": [2, 7, Signed(1), Signed(1), b"\0\0\0\0"],
    "huge-bits": [2, 2**63, Signed(1), Signed(1), b"\0\0\0\0"],
    "negative-rank": [2, 32, Signed(-1), b"\0\0\0\0"],
    "huge-rank": [2, 32, Signed(HUGE), Signed(1), b"\0\0\0\0"],
    "rank-1000000": [2, 32, Signed(1_000_000), Signed(1), b"\0\0\0\0"],
    "negative-dim": [2, 32, Signed(1), Signed(-1), b"\0\0\0\0"],
    "overflowing-dims": [2, 32, Signed(2), Signed(HUGE), Signed(4), b""],
    "overflow-to-fit": [2, 32, Signed(1), Signed(HUGE + 1), b"\0\0\0\0"],
    "huge-dim": [2, 32, Signed(1), Signed(HUGE), b"\0\0\0\0"],
    "data-too-short": [2, 32, Signed(1), Signed(2), b"\0\0\0\0"],
    "data-too-long": [2, 32, Signed(1), Signed(1), b"\0\0\0\0\0"],
    "data-missing": [2, 32, Signed(1), Signed(1)],
    "data-is-a-number": [2, 32, Signed(1), Signed(1), 5],
    "dims-are-strings": [2, 32, Signed(2), b"1", b"1", b"\0\0\0\0"],
    "bool-not-0-or-1": [6, 8, Signed(1), Signed(1), b"\2"],
    "string-without-end": [7, 8, Signed(1), Signed(1), b"abc", 0],
    "string-offsets-outside": [7, 8, Signed(1), Signed(2), b"a\0b\0", 0, 2**40],
    "string-offsets-backwards": [7, 8, Signed(1), Signed(2), b"a\0b\0", 2, 0],
    "string-offsets-missing": [7, 8, Signed(1), Signed(2), b"a\0b\0"],
    "string-count-differs": [7, 8, Signed(1), Signed(2), b"a\0", 0, 1],
    "more-values-than-the-layout": [2, 32, Signed(1), Signed(1), b"\0\0\0\0", 1, 2, 3],
}


@pytest.mark.parametrize("values", HOSTILE_TENSORS.values(), ids=HOSTILE_TENSORS.keys())
def test_hostile_tensor(server, raw, values):
    reply = raw.call("RESTORE", "t", 0, dump.encode("AI_TENSOR", 4, values))
    _assert_refused_or_usable(server, raw, reply, [["AI.TENSORGET", "t", "META", "VALUES"], ["AI.TENSORGET", "t"]])


HOSTILE_MODELS = {
    "no-values": [],
    "unknown-backend": [17, b"CPU\0", b"", 0, 0, 0, 0, 0, len(MODEL), 1, MODEL],
    "device-without-nul": [ONNX_ID, b"CPU", b"", 0, 0, 0, 0, 0, len(MODEL), 1, MODEL],
    "empty-device": [ONNX_ID, b"", b"", 0, 0, 0, 0, 0, len(MODEL), 1, MODEL],
    "bad-device": [ONNX_ID, b"TPU\0", b"", 0, 0, 0, 0, 0, len(MODEL), 1, MODEL],
    "huge-name-count": [ONNX_ID, b"CPU\0", b"", 0, 0, 0, HUGE, 0, len(MODEL), 1, MODEL],
    "huge-chunk-count": [ONNX_ID, b"CPU\0", b"", 0, 0, 0, 0, 0, len(MODEL), HUGE, MODEL],
    "huge-length": [ONNX_ID, b"CPU\0", b"", 0, 0, 0, 0, 0, HUGE, 1, MODEL],
    "wrong-length": [ONNX_ID, b"CPU\0", b"", 0, 0, 0, 0, 0, 5, 1, MODEL],
    "no-chunks": [ONNX_ID, b"CPU\0", b"", 0, 0, 0, 0, 0, 0, 0],
    "chunks-missing": [ONNX_ID, b"CPU\0", b"", 0, 0, 0, 0, 0, len(MODEL), 2, MODEL],
    "negative-batchsize": [ONNX_ID, b"CPU\0", b"", 2**64 - 1, 2**64 - 1, 2**64 - 1, 0, 0, len(MODEL), 1, MODEL],
    "a-number-for-the-tag": [ONNX_ID, b"CPU\0", 5, 0, 0, 0, 0, 0, len(MODEL), 1, MODEL],
}


@pytest.mark.parametrize("values", HOSTILE_MODELS.values(), ids=HOSTILE_MODELS.keys())
def test_hostile_model(server, raw, values):
    reply = raw.call("RESTORE", "m", 0, dump.encode("AI__MODEL", 4, values))
    set_tensor(raw, "x", np.ones((3, 2), dtype=np.float32))
    run = ["AI.MODELEXECUTE", "m", "INPUTS", 1, "x", "OUTPUTS", 1, "y"]
    _assert_refused_or_usable(server, raw, reply, [["AI.MODELGET", "m"], run, ["AI._MODELSCAN"]])


@pytest.mark.parametrize("type_name", ["AI_TENSOR", "AI__MODEL"])
@pytest.mark.parametrize("version", [5, 1023])
def test_newer_layout_is_refused(raw, type_name, version):
    payload = dump.encode(type_name, version, [2, 32, Signed(1), Signed(1), b"\0\0\0\0"])
    assert raw.call("RESTORE", "k", 0, payload) == Error("ERR Bad data format")


@pytest.mark.parametrize(
    "command",
    [
        ["AI.TENSORSET", "k", "STRING", 3, "VALUES", "a", "bc", "def"],
        ["AI.MODELSTORE", "k", "ONNX", "CPU", "TAG", "t", "BLOB", onnx_models.mul()],
    ],
    ids=["tensor", "model"],
)
def test_payload_cut_at_every_value(server, raw, command):
    assert raw.call(*command) == OK
    body = dump.body_of(raw.call("DUMP", "k"))
    for length in range(9, len(body), max(1, len(body) // 60)):
        reply = raw.call("RESTORE", "copy", 0, dump.seal(body[:length]), "REPLACE")
        assert reply == OK or isinstance(reply, Error)
    assert server.responsive()


def _after_names(values: list) -> list:
    """Skip the two lists of names of a model."""
    inputs = values[0]
    outputs = values[1 + inputs]
    return values[2 + inputs + outputs :]


def _assert_refused_or_usable(server, raw, reply, commands) -> None:
    """A payload that makes no sense is refused, or gives a value that can be used without harm."""
    if reply == OK:
        for command in commands:
            raw.call(*command)
    else:
        assert reply == Error("ERR Bad data format")
    assert server.responsive()
