"""Reference section 7: STRING tensors keep each element with one NUL behind it."""

import pytest

from support.resp import OK, Error

INNER_NUL = Error("ERR C-string value contains null character")
WRONG_BLOB = Error("ERR Number of string elements in data blob does not match tensor length")


@pytest.mark.parametrize(
    "values, blob, back",
    [
        ([b"a", b"bc"], b"a\0bc\0", [b"a", b"bc"]),
        ([b"a\0", b"bc"], b"a\0bc\0", [b"a", b"bc"]),  # one trailing NUL is allowed
        ([b"", b"x"], b"\0x\0", [b"", b"x"]),
        ([b"\0", b"x"], b"\0x\0", [b"", b"x"]),
        (["é".encode(), "日本".encode()], "é\0日本\0".encode(), ["é".encode(), "日本".encode()]),
        ([b"\xff\xfe", b" \r\n"], b"\xff\xfe\0 \r\n\0", [b"\xff\xfe", b" \r\n"]),
    ],
    ids=["plain", "trailing-nul", "empty", "only-nul", "utf-8", "any-bytes"],
)
def test_values(raw, values, blob, back):
    assert raw.call("AI.TENSORSET", "t", "STRING", 2, "VALUES", *values) == OK
    assert raw.call("AI.TENSORGET", "t", "BLOB") == blob
    assert raw.call("AI.TENSORGET", "t", "VALUES") == back


@pytest.mark.parametrize("value", [b"a\0b", b"\0a", b"a\0\0", b"\0\0"], ids=repr)
def test_inner_nul_is_refused(raw, value):
    assert raw.call("AI.TENSORSET", "t", "STRING", 2, "VALUES", b"ok", value) == INNER_NUL
    assert raw.call("EXISTS", "t") == 0


@pytest.mark.parametrize(
    "blob, back", [(b"a\0bc\0", [b"a", b"bc"]), (b"\0\0", [b"", b""]), (b"\xff\0\xfe\0", [b"\xff", b"\xfe"])], ids=repr
)
def test_blob(raw, blob, back):
    assert raw.call("AI.TENSORSET", "t", "STRING", 2, "BLOB", blob) == OK
    assert raw.call("AI.TENSORGET", "t", "BLOB") == blob
    assert raw.call("AI.TENSORGET", "t", "VALUES") == back


@pytest.mark.parametrize("blob", [b"", b"\0", b"a\0", b"a\0b", b"a\0b\0c", b"a\0b\0c\0", b"\0\0\0", b"ab"], ids=repr)
def test_blob_with_a_wrong_count_or_end(raw, blob):
    assert raw.call("AI.TENSORSET", "t", "STRING", 2, "BLOB", blob) == WRONG_BLOB


def test_empty_blob_of_one_element(raw):
    assert raw.call("AI.TENSORSET", "t", "STRING", 1, "BLOB", b"") == WRONG_BLOB


def test_scalar_string(raw):
    assert raw.call("AI.TENSORSET", "t", "STRING", "VALUES", "one") == OK
    assert raw.call("AI.TENSORGET", "t", "META", "VALUES") == [b"dtype", b"STRING", b"shape", [], b"values", [b"one"]]


def test_long_strings(raw):
    values = [bytes([65 + i]) * 100_000 for i in range(4)]
    assert raw.call("AI.TENSORSET", "t", "STRING", 2, 2, "VALUES", *values) == OK
    assert raw.call("AI.TENSORGET", "t", "VALUES") == values
