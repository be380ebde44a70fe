"""Reference section 3.1: AI.TENSORSET stores what it was given."""

import struct

import pytest

from support.commands import get_tensor, set_tensor, words
from support.resp import OK, Error

DTYPES = ["FLOAT", "DOUBLE", "INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "BOOL", "STRING"]
SIZES = {"FLOAT": 4, "DOUBLE": 8, "INT8": 1, "INT16": 2, "INT32": 4, "INT64": 8, "UINT8": 1, "UINT16": 2, "BOOL": 1}


@pytest.mark.parametrize("dtype", DTYPES)
def test_without_data_all_elements_are_zero(raw, dtype):
    assert raw.call("AI.TENSORSET", "t", dtype, 2, 3) == OK
    size = SIZES.get(dtype, 1)  # an empty string is its NUL
    expected = [b"dtype", dtype.encode(), b"shape", [2, 3], b"blob", bytes(6 * size)]
    assert raw.call("AI.TENSORGET", "t") == expected


@pytest.mark.parametrize("dtype", DTYPES)
def test_values_of_every_dtype(raw, dtype):
    assert raw.call("AI.TENSORSET", "t", dtype, 2, "VALUES", 1, 0) == OK
    expected = {"FLOAT": [b"1", b"0"], "DOUBLE": [b"1", b"0"], "STRING": [b"1", b"0"]}.get(dtype, [1, 0])
    assert raw.call("AI.TENSORGET", "t", "VALUES") == expected


@pytest.mark.parametrize("dtype", [dtype for dtype in DTYPES if dtype not in ("BOOL", "STRING")])
def test_blob_of_every_dtype_comes_back_unchanged(raw, dtype):
    blob = bytes(range(1, 1 + 6 * SIZES[dtype]))
    assert raw.call("AI.TENSORSET", "t", dtype, 3, 2, "BLOB", blob) == OK
    assert raw.call("AI.TENSORGET", "t", "BLOB") == blob


@pytest.mark.parametrize(
    "command",
    [
        words("ai.tensorset t float 2 values 1 2"),
        words("Ai.TensorSet t Float 2 Values 1 2"),
        words("AI.TENSORSET t FLOAT 2 BLOB", struct.pack("<ff", 1, 2)),
        words("AI.TENSORSET t FLOAT 2 blob", struct.pack("<ff", 1, 2)),
    ],
)
def test_words_are_matched_in_any_case(raw, command):
    assert raw.call(*command) == OK
    assert get_tensor(raw, "t").tolist() == [1, 2]


def test_no_dims_make_a_scalar(raw):
    assert raw.call(*words("AI.TENSORSET t INT64 VALUES 7")) == OK
    assert raw.call("AI.TENSORGET", "t", "META", "VALUES") == [b"dtype", b"INT64", b"shape", [], b"values", [7]]


def test_scalar_from_a_blob(raw):
    assert raw.call("AI.TENSORSET", "t", "FLOAT", "BLOB", struct.pack("<f", 2.5)) == OK
    assert raw.call("AI.TENSORGET", "t", "META", "VALUES") == [b"dtype", b"FLOAT", b"shape", [], b"values", [b"2.5"]]


def test_any_number_of_dims_up_to_64(raw):
    assert raw.call("AI.TENSORSET", "t", "INT8", *[1] * 63, 2, "VALUES", 3, 4) == OK
    assert raw.call("AI.TENSORGET", "t", "META")[3] == [1] * 63 + [2]


def test_rank_above_64_is_refused(raw):
    assert raw.call("AI.TENSORSET", "t", "INT8", *[1] * 65, "VALUES", 3) == Error(
        "ERR tensor rank exceeds the limit of 64"
    )


def test_key_is_binary_safe(raw):
    key = b"a\x00b\r\n\xff c"
    set_tensor(raw, key, [1])
    assert get_tensor(raw, key).tolist() == [1]
    assert raw.call("KEYS", "*") == [key]


def test_overwrites_a_tensor_of_another_type_and_shape(raw):
    set_tensor(raw, "t", [[1, 2], [3, 4]])
    assert raw.call(*words("AI.TENSORSET t STRING 1 VALUES x")) == OK
    assert raw.call("AI.TENSORGET", "t", "META", "VALUES") == [b"dtype", b"STRING", b"shape", [1], b"values", [b"x"]]


def test_a_refused_command_leaves_the_old_tensor(raw):
    set_tensor(raw, "t", [1, 2])
    assert raw.call(*words("AI.TENSORSET t INT8 2 VALUES 1 300")) == Error("ERR invalid value")
    assert get_tensor(raw, "t").tolist() == [1, 2]


def test_a_refused_command_creates_no_key(raw):
    assert raw.call(*words("AI.TENSORSET t INT8 2 VALUES 1 x")) == Error("ERR invalid value")
    assert raw.call("EXISTS", "t") == 0


def test_a_word_after_blob_is_its_data(raw):
    assert raw.call(*words("AI.TENSORSET t INT8 6 BLOB VALUES")) == OK
    assert raw.call("AI.TENSORGET", "t", "BLOB") == b"VALUES"


def test_words_after_values_are_values(raw):
    assert raw.call(*words("AI.TENSORSET t STRING 2 VALUES BLOB VALUES")) == OK
    assert raw.call("AI.TENSORGET", "t", "VALUES") == [b"BLOB", b"VALUES"]


def test_large_blob(raw):
    blob = bytes(range(256)) * 65536
    assert raw.call("AI.TENSORSET", "t", "UINT8", 4096, 4096, "BLOB", blob) == OK
    assert raw.call("AI.TENSORGET", "t", "BLOB") == blob


def test_databases_are_separate(raw):
    set_tensor(raw, "t", [1])
    assert raw.call("SELECT", 3) == OK
    assert raw.call("EXISTS", "t") == 0
    set_tensor(raw, "t", [2])
    assert raw.call("SELECT", 0) == OK
    assert get_tensor(raw, "t").tolist() == [1]
