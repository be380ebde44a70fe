"""Reference section 4.3: error texts of AI.TENSORSET and AI.TENSORGET, and which of two errors is reported."""

import pytest

from support import onnx_models
from support.commands import NO_TENSOR, WRONGTYPE, set_tensor, store_model, words, wrong_arity
from support.resp import Error

BAD_DTYPE = Error("ERR invalid data type")
BAD_SHAPE = Error("ERR invalid or negative value found in tensor shape")
ONE_BLOB = Error("ERR a single binary string should come after the BLOB argument in 'AI.TENSORSET' command")
BAD_COUNT = Error("ERR wrong number of values was given in 'AI.TENSORSET' command")
BAD_LENGTH = Error("ERR data length does not match tensor shape and type")
BAD_VALUE = Error("ERR invalid value")
BAD_FORMAT = Error("ERR unsupported data format")
BOTH_FORMATS = Error("ERR both BLOB and VALUES specified")


@pytest.mark.parametrize(
    "command, error",
    [
        # dtype
        (words("AI.TENSORSET t FOO 2"), BAD_DTYPE),
        (words("AI.TENSORSET t UINT32 2 VALUES 1 2"), BAD_DTYPE),
        (words("AI.TENSORSET t UINT64 2 VALUES 1 2"), BAD_DTYPE),
        (words("AI.TENSORSET t FLOAT16 2"), BAD_DTYPE),
        (words("AI.TENSORSET t FLOATX 2"), BAD_DTYPE),
        (words("AI.TENSORSET t 2 FLOAT"), BAD_DTYPE),
        (["AI.TENSORSET", "t", "", 2], BAD_DTYPE),
        (["AI.TENSORSET", "t", b"FLOAT\0", 2], BAD_DTYPE),
        # shape
        (words("AI.TENSORSET t FLOAT 0"), BAD_SHAPE),
        (words("AI.TENSORSET t FLOAT -1"), BAD_SHAPE),
        (words("AI.TENSORSET t FLOAT 2 -2 VALUES 1"), BAD_SHAPE),
        (words("AI.TENSORSET t FLOAT 1.5"), BAD_SHAPE),
        (words("AI.TENSORSET t FLOAT 1.0"), BAD_SHAPE),
        (words("AI.TENSORSET t FLOAT +1"), BAD_SHAPE),
        (words("AI.TENSORSET t FLOAT 01"), BAD_SHAPE),
        (words("AI.TENSORSET t FLOAT x"), BAD_SHAPE),
        (["AI.TENSORSET", "t", "FLOAT", ""], BAD_SHAPE),
        (["AI.TENSORSET", "t", "FLOAT", " 1"], BAD_SHAPE),
        (words("AI.TENSORSET t FLOAT 9223372036854775808"), BAD_SHAPE),
        (words("AI.TENSORSET t FLOAT 2 BLOBS x"), BAD_SHAPE),
        (words("AI.TENSORSET t FLOAT 2 2 stray VALUES 1 2 3 4"), BAD_SHAPE),
        # BLOB and VALUES counts
        (words("AI.TENSORSET t FLOAT 1 BLOB"), ONE_BLOB),
        (words("AI.TENSORSET t FLOAT 1 BLOB abcd efgh"), ONE_BLOB),
        (words("AI.TENSORSET t FLOAT 1 BLOB VALUES 1"), ONE_BLOB),
        (words("AI.TENSORSET t FLOAT BLOB"), ONE_BLOB),
        (words("AI.TENSORSET t FLOAT 2 VALUES"), BAD_COUNT),
        (words("AI.TENSORSET t FLOAT 2 VALUES 1"), BAD_COUNT),
        (words("AI.TENSORSET t FLOAT 2 VALUES 1 2 3"), BAD_COUNT),
        (words("AI.TENSORSET t FLOAT 2 3 VALUES 1 2 3 4 5"), BAD_COUNT),
        (words("AI.TENSORSET t FLOAT VALUES"), BAD_COUNT),
        (words("AI.TENSORSET t FLOAT VALUES 1 2"), BAD_COUNT),
        (words("AI.TENSORSET t STRING 2 VALUES a"), BAD_COUNT),
        # data length
        (words("AI.TENSORSET t FLOAT 1 BLOB abc"), BAD_LENGTH),
        (words("AI.TENSORSET t FLOAT 1 BLOB abcde"), BAD_LENGTH),
        (["AI.TENSORSET", "t", "FLOAT", 1, "BLOB", b""], BAD_LENGTH),
        (words("AI.TENSORSET t DOUBLE 1 BLOB abcd"), BAD_LENGTH),
        (words("AI.TENSORSET t BOOL 2 BLOB", b"\x01"), BAD_LENGTH),
        (words("AI.TENSORSET t INT64 BLOB abcd"), BAD_LENGTH),
    ],
)
def test_tensorset(raw, command, error):
    assert raw.call(*command) == error
    assert raw.call("EXISTS", "t") == 0


@pytest.mark.parametrize("kind", ["string", "model"])
def test_tensorset_over_another_type(raw, kind):
    _key_of_another_type(raw, kind)
    assert raw.call(*words("AI.TENSORSET k FLOAT 1 VALUES 1")) == WRONGTYPE
    assert raw.call("TYPE", "k").text == {"string": "string", "model": "AI__MODEL"}[kind]


@pytest.mark.parametrize(
    "command, error",
    [
        ("AI.TENSORSET s FLOAT", wrong_arity("AI.TENSORSET")),  # arity before the key's type
        ("AI.TENSORSET s FOO 0 BLOB", WRONGTYPE),  # the key's type before the dtype
        ("AI.TENSORSET s FLOAT -1", WRONGTYPE),  # the key's type before the shape
        ("AI.TENSORSET t FOO -1 VALUES", BAD_DTYPE),  # dtype before shape
        ("AI.TENSORSET t FLOAT -1 BLOB", BAD_SHAPE),  # shape before data
        ("AI.TENSORSET t FLOAT 2 x VALUES 1", BAD_SHAPE),
        ("AI.TENSORSET t FLOAT 1 BLOB a b", ONE_BLOB),  # number of blobs before their length
        ("AI.TENSORSET t INT8 3 VALUES x y", BAD_COUNT),  # number of values before their form
    ],
)
def test_tensorset_check_order(raw, command, error):
    raw.call("SET", "s", "text")
    assert raw.call(*words(command)) == error


IMPOSSIBLE_DIMS = {
    "2^62+1": [2**62 + 1],
    "2^62,4": [2**62, 4],
    "2^63-1": [2**63 - 1],
    "2^63-1,2^63-1": [2**63 - 1, 2**63 - 1],
    "2^32,2^32": [2**32, 2**32],
    "twenty-millions": [1_000_000] * 20,
    "64-twos": [2] * 64,
    "10^15": [10**12, 1000],
}


@pytest.mark.parametrize("dims", IMPOSSIBLE_DIMS.values(), ids=IMPOSSIBLE_DIMS.keys())
@pytest.mark.parametrize("data", [[], ["BLOB", b"abcd"], ["VALUES", "1"]], ids=["none", "blob", "values"])
@pytest.mark.parametrize("dtype", ["FLOAT", "INT8", "STRING"])
def test_sizes_that_overflow_or_cannot_be_had(server, raw, dtype, dims, data):
    reply = raw.call("AI.TENSORSET", "t", dtype, *dims, *data)
    assert isinstance(reply, Error) and reply.text.startswith("ERR "), reply
    assert raw.call("AI.TENSORGET", "t") == NO_TENSOR
    assert server.responsive()


@pytest.mark.parametrize(
    "command, error",
    [
        ("AI.TENSORGET none", NO_TENSOR),
        ("AI.TENSORGET none VALUES", NO_TENSOR),
        ("AI.TENSORGET s", WRONGTYPE),
        ("AI.TENSORGET t FOO", BAD_FORMAT),
        ("AI.TENSORGET t META FOO", BAD_FORMAT),
        ("AI.TENSORGET t FOO META", BAD_FORMAT),
        ("AI.TENSORGET t BLOB VALUES", BOTH_FORMATS),
        ("AI.TENSORGET t VALUES BLOB", BOTH_FORMATS),
        # check order: arity, key exists, key type, words
        ("AI.TENSORGET none META BLOB VALUES", wrong_arity("AI.TENSORGET")),
        ("AI.TENSORGET none FOO", NO_TENSOR),
        ("AI.TENSORGET s FOO", WRONGTYPE),
        ("AI.TENSORGET s BLOB VALUES", WRONGTYPE),
        ("AI.TENSORGET t BLOB FOO", BAD_FORMAT),
    ],
)
def test_tensorget(raw, command, error):
    set_tensor(raw, "t", [1])
    raw.call("SET", "s", "text")
    assert raw.call(*words(command)) == error


def test_tensorget_of_a_model(raw):
    _key_of_another_type(raw, "model")
    assert raw.call("AI.TENSORGET", "k") == WRONGTYPE


def test_string_values_with_inner_nul(raw):
    reply = raw.call("AI.TENSORSET", "t", "STRING", 2, "VALUES", "fine", b"in\0ner")
    assert reply == Error("ERR C-string value contains null character")


def _key_of_another_type(raw, kind: str) -> None:
    if kind == "model":
        store_model(raw, "k", onnx_models.mul())
    else:
        raw.call("SET", "k", "text")
