"""Reference section 7: which values each dtype accepts and which it refuses."""

import struct

import pytest

from support.resp import OK, Error

BAD_VALUE = Error("ERR invalid value")
RANGES = {
    "INT8": (-(2**7), 2**7 - 1),
    "INT16": (-(2**15), 2**15 - 1),
    "INT32": (-(2**31), 2**31 - 1),
    "INT64": (-(2**63), 2**63 - 1),
    "UINT8": (0, 2**8 - 1),
    "UINT16": (0, 2**16 - 1),
}


@pytest.mark.parametrize("dtype", RANGES)
def test_integers_over_the_whole_range(raw, dtype):
    lowest, highest = RANGES[dtype]
    assert raw.call("AI.TENSORSET", "t", dtype, 4, "VALUES", lowest, highest, 0, 1) == OK
    assert raw.call("AI.TENSORGET", "t", "VALUES") == [lowest, highest, 0, 1]


@pytest.mark.parametrize("dtype", RANGES)
def test_integers_out_of_range(raw, dtype):
    lowest, highest = RANGES[dtype]
    assert raw.call("AI.TENSORSET", "t", dtype, 1, "VALUES", lowest - 1) == BAD_VALUE
    assert raw.call("AI.TENSORSET", "t", dtype, 1, "VALUES", highest + 1) == BAD_VALUE


def test_negative_int8_values(raw):
    assert raw.call("AI.TENSORSET", "t", "INT8", 2, "VALUES", -1, -128) == OK
    assert raw.call("AI.TENSORGET", "t", "VALUES") == [-1, -128]


@pytest.mark.parametrize(
    "value",
    ["", " ", "x", "1x", "01", "+1", " 1", "1 ", "1.0", "1e1", "0x1", "-0", "--1", "-", b"1\0", "99999999999999999999"],
)
@pytest.mark.parametrize("dtype", ["INT8", "INT64", "UINT8", "UINT16", "BOOL"])
def test_integers_in_another_form(raw, dtype, value):
    assert raw.call("AI.TENSORSET", "t", dtype, 2, "VALUES", 1, value) == BAD_VALUE


@pytest.mark.parametrize("value", ["2", "-1", "true", "yes", "256"])
def test_bool_is_0_or_1(raw, value):
    assert raw.call("AI.TENSORSET", "t", "BOOL", 1, "VALUES", value) == BAD_VALUE


@pytest.mark.parametrize(
    "value, expected",
    [
        ("1", 1.0),
        ("-1.5", -1.5),
        ("1e3", 1000.0),
        ("1E-2", 0.01),
        ("-0", -0.0),
        ("0.1", 0.1),
        ("inf", float("inf")),
        ("-inf", float("-inf")),
        ("INF", float("inf")),
        ("infinity", float("inf")),
        ("1.7976931348623157e308", 1.7976931348623157e308),
    ],
)
def test_doubles(raw, value, expected):
    assert raw.call("AI.TENSORSET", "t", "DOUBLE", 1, "VALUES", value) == OK
    assert raw.call("AI.TENSORGET", "t", "BLOB") == struct.pack("<d", expected)


@pytest.mark.parametrize(
    "value, expected", [("0.1", 0.1), ("1e300", float("inf")), ("-1e300", float("-inf")), ("1e-300", 0.0)]
)
def test_float_is_narrowed_from_double(raw, value, expected):
    assert raw.call("AI.TENSORSET", "t", "FLOAT", 1, "VALUES", value) == OK
    assert raw.call("AI.TENSORGET", "t", "BLOB") == struct.pack("<f", expected)


@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        " 1",
        "1 ",
        "x",
        "1x",
        "1,5",
        "nan",
        "NaN",
        "-nan",
        "NAN",
        "nan(1)",
        "1e400",
        "-1e400",
        "--1",
        "1e",
        b"1\0",
        b"1\0002",
    ],
)
@pytest.mark.parametrize("dtype", ["FLOAT", "DOUBLE"])
def test_floating_point_values_refused(raw, dtype, value):
    assert raw.call("AI.TENSORSET", "t", dtype, 2, "VALUES", 1, value) == BAD_VALUE


@pytest.mark.parametrize("dtype, format", [("FLOAT", "<f"), ("DOUBLE", "<d")])
def test_nan_and_infinities_in_a_blob(raw, dtype, format):
    blob = struct.pack(format, float("nan")) + struct.pack(format, float("-inf"))
    assert raw.call("AI.TENSORSET", "t", dtype, 2, "BLOB", blob) == OK
    assert raw.call("AI.TENSORGET", "t", "BLOB") == blob


def test_negative_integers_in_a_blob(raw):
    assert raw.call("AI.TENSORSET", "t", "INT32", 2, "BLOB", struct.pack("<ii", -1, -(2**31))) == OK
    assert raw.call("AI.TENSORGET", "t", "VALUES") == [-1, -(2**31)]


@pytest.mark.parametrize("blob", [b"\x02\x00\x00", b"\x00\x02\x00", b"\x00\x00\x02", b"\x00\x00\xff"], ids=repr)
def test_every_byte_of_a_bool_blob_is_checked(raw, blob):
    reply = raw.call("AI.TENSORSET", "t", "BOOL", 3, "BLOB", blob)
    assert reply == Error("ERR BOOL tensor elements must be 0 or 1")


def test_bool_blob(raw):
    assert raw.call("AI.TENSORSET", "t", "BOOL", 3, "BLOB", b"\x01\x00\x01") == OK
    assert raw.call("AI.TENSORGET", "t", "VALUES") == [1, 0, 1]
