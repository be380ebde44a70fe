"""Reference section 3.5: AI.MODELGET."""

import pytest

from support import onnx_models
from support.commands import pairs, store_model
from support.resp import OK

MODEL = onnx_models.sum_and_difference()
META = [
    b"backend",
    b"ONNX",
    b"device",
    b"cpu",
    b"tag",
    b"v1",
    b"batchsize",
    4,
    b"minbatchsize",
    2,
    b"inputs",
    [b"a", b"b"],
    b"outputs",
    [b"s", b"d"],
    b"minbatchtimeout",
    50,
]
OPTIONS = ["TAG", "v1", "BATCHSIZE", 4, "MINBATCHSIZE", 2, "MINBATCHTIMEOUT", 50]
DEFAULT_CHUNK_SIZE = 535822336


@pytest.fixture
def chunk_size(raw):
    """Sets MODEL_CHUNK_SIZE for one test."""
    yield lambda size: raw.call("AI.CONFIG", "MODEL_CHUNK_SIZE", size)
    raw.call("AI.CONFIG", "MODEL_CHUNK_SIZE", DEFAULT_CHUNK_SIZE)


@pytest.mark.parametrize(
    "format_words, reply",
    [
        ("META", META),
        ("BLOB", MODEL),
        ("", [*META, b"blob", MODEL]),
        ("META BLOB", [*META, b"blob", MODEL]),
        ("BLOB META", [*META, b"blob", MODEL]),
        ("meta", META),
        ("blob", MODEL),
        ("META META", META),
        ("FOO", [*META, b"blob", MODEL]),
        ("FOO META", META),
        ("BLOB FOO", MODEL),
        ("FOO BAR", [*META, b"blob", MODEL]),
    ],
)
def test_formats(raw, format_words, reply):
    store_model(raw, "m", MODEL, *OPTIONS, device="cpu")
    assert raw.call("AI.MODELGET", "m", *format_words.split()) == reply


def test_defaults(raw):
    store_model(raw, "m", onnx_models.mul_by_weights())
    assert raw.call("AI.MODELGET", "m", "META") == [
        b"backend",
        b"ONNX",
        b"device",
        b"CPU",
        b"tag",
        b"",
        b"batchsize",
        0,
        b"minbatchsize",
        0,
        b"inputs",
        [b"x"],
        b"outputs",
        [b"y"],
        b"minbatchtimeout",
        0,
    ]


def test_blob_is_what_was_stored(raw):
    """Not a re-serialised model: unknown fields and their order stay."""
    model = onnx_models.mul() + b"\x9a\x06\x05extra"  # field 99, which ONNX does not know
    store_model(raw, "m", model)
    assert raw.call("AI.MODELGET", "m", "BLOB") == model


def test_blob_shorter_than_the_chunk_size_is_one_string(raw, chunk_size):
    store_model(raw, "m", MODEL)
    assert chunk_size(len(MODEL) + 1) == OK
    assert raw.call("AI.MODELGET", "m", "BLOB") == MODEL


@pytest.mark.parametrize("size", [1, 2, 10, 64, len(MODEL) - 1])
def test_longer_blob_is_an_array_of_chunks(raw, chunk_size, size):
    store_model(raw, "m", MODEL)
    assert chunk_size(size) == OK
    chunks = raw.call("AI.MODELGET", "m", "BLOB")
    _assert_chunks(chunks, size)
    assert pairs(raw.call("AI.MODELGET", "m"))["blob"] == chunks


def test_blob_of_exactly_the_chunk_size_is_an_array(raw, chunk_size):
    store_model(raw, "m", MODEL)
    assert chunk_size(len(MODEL)) == OK
    _assert_chunks(raw.call("AI.MODELGET", "m", "BLOB"), len(MODEL))


def test_chunks_can_be_stored_again(raw, chunk_size):
    store_model(raw, "m", MODEL)
    assert chunk_size(16) == OK
    chunks = raw.call("AI.MODELGET", "m", "BLOB")
    assert raw.call("AI.MODELSTORE", "n", "ONNX", "CPU", "BLOB", *chunks) == OK
    assert raw.call("AI.MODELGET", "n", "BLOB") == chunks


def _assert_chunks(chunks: list[bytes], size: int) -> None:
    """All of ``size`` but the last; an empty last one (when size divides the length) may be left out."""
    assert isinstance(chunks, list)
    full, rest = divmod(len(MODEL), size)
    lengths = [len(chunk) for chunk in chunks]
    assert lengths in ([size] * full + [rest], [size] * full + ([rest] if rest else []))
    assert b"".join(chunks) == MODEL
