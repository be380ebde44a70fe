"""Reference section 3.2: AI.TENSORGET in all its formats."""

import struct

import pytest

from support.commands import set_tensor, words
from support.resp import OK

META = [b"dtype", b"INT16", b"shape", [2, 1]]
BLOB = struct.pack("<hh", 5, -3)
VALUES = [5, -3]


@pytest.mark.parametrize(
    "format_words, reply",
    [
        ("", [*META, b"blob", BLOB]),
        ("META", META),
        ("BLOB", BLOB),
        ("VALUES", VALUES),
        ("META BLOB", [*META, b"blob", BLOB]),
        ("BLOB META", [*META, b"blob", BLOB]),
        ("META VALUES", [*META, b"values", VALUES]),
        ("VALUES META", [*META, b"values", VALUES]),
        ("META META", META),
        ("BLOB BLOB", BLOB),
        ("VALUES VALUES", VALUES),
        ("meta blob", [*META, b"blob", BLOB]),
        ("Values", VALUES),
    ],
)
def test_formats(raw, format_words, reply):
    assert raw.call("AI.TENSORSET", "t", "INT16", 2, 1, "BLOB", BLOB) == OK
    assert raw.call("AI.TENSORGET", "t", *format_words.split()) == reply


def test_values_are_flat_and_row_major(raw):
    set_tensor(raw, "t", [[1, 2, 3], [4, 5, 6]], "INT32")
    assert raw.call("AI.TENSORGET", "t", "VALUES") == [1, 2, 3, 4, 5, 6]


def test_example_of_the_reference(raw):
    assert raw.call(*words("AI.TENSORSET t FLOAT 1 2 VALUES 5 0.5")) == OK
    assert raw.call(*words("AI.TENSORGET t META VALUES")) == [
        b"dtype",
        b"FLOAT",
        b"shape",
        [1, 2],
        b"values",
        [b"5", b"0.5"],
    ]


@pytest.mark.parametrize(
    "dtype, value, reply",
    [
        ("FLOAT", "1", b"1"),
        ("FLOAT", "0.5", b"0.5"),
        ("FLOAT", "-2.25", b"-2.25"),
        ("FLOAT", "0.1", b"0.10000000149011612"),  # widened to double first
        ("FLOAT", "inf", b"inf"),
        ("FLOAT", "-inf", b"-inf"),
        ("DOUBLE", "1e3", b"1000"),
        ("DOUBLE", "0.5", b"0.5"),
        ("DOUBLE", "-inf", b"-inf"),
        ("INT64", "9223372036854775807", 9223372036854775807),
        ("INT8", "7", 7),
        ("UINT16", "65535", 65535),
        ("BOOL", "1", 1),
        ("STRING", "text", b"text"),
    ],
)
def test_form_of_values(raw, dtype, value, reply):
    assert raw.call("AI.TENSORSET", "t", dtype, 1, "VALUES", value) == OK
    assert raw.call("AI.TENSORGET", "t", "VALUES") == [reply]


def test_doubles_have_the_form_of_the_server(server, raw):
    """``%.17g`` before server 7.2, shortest round trip from 7.2."""
    version = tuple(int(part) for part in server.info("server")["redis_version"].split(".")[:2])
    assert raw.call(*words("AI.TENSORSET t DOUBLE 1 VALUES 0.1")) == OK
    expected = b"0.1" if version >= (7, 2) else b"0.10000000000000001"
    assert raw.call("AI.TENSORGET", "t", "VALUES") == [expected]


def test_nan_from_a_blob(raw):
    blob = struct.pack("<f", float("nan"))
    assert raw.call("AI.TENSORSET", "t", "FLOAT", 1, "BLOB", blob) == OK
    assert raw.call("AI.TENSORGET", "t", "BLOB") == blob
    [value] = raw.call("AI.TENSORGET", "t", "VALUES")
    assert value in (b"nan", b"-nan")


def test_string_blob_and_values(raw):
    assert raw.call("AI.TENSORSET", "t", "STRING", 2, "BLOB", b"a\0bc\0") == OK
    assert raw.call("AI.TENSORGET", "t", "BLOB") == b"a\0bc\0"
    assert raw.call("AI.TENSORGET", "t", "VALUES") == [b"a", b"bc"]
