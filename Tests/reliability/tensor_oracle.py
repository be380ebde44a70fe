"""Decides what AI.TENSORSET and AI.TENSORGET must answer: an independent reading of their grammar."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

from support.resp import Double

from reliability import numbers
from reliability.expectation import (
    FAILS,
    NO_TENSOR,
    OPEN,
    SUCCEEDS,
    WRONG_TYPE,
    Expectation,
    fails,
    wrong_arity,
)
from reliability.keyspace import UNKNOWN, Keyspace, TensorValue, is_tensor

Command = Sequence[bytes]

RANK_LIMIT = 64

ITEM_SIZES = {
    b"FLOAT": 4,
    b"DOUBLE": 8,
    b"INT8": 1,
    b"INT16": 2,
    b"INT32": 4,
    b"INT64": 8,
    b"UINT8": 1,
    b"UINT16": 2,
    b"BOOL": 1,
    b"STRING": 1,
}
# Least and greatest value in VALUES, and how an element is stored.
_INTEGERS = {
    b"INT8": (-(2**7), 2**7 - 1, "<b"),
    b"INT16": (-(2**15), 2**15 - 1, "<h"),
    b"INT32": (-(2**31), 2**31 - 1, "<i"),
    b"INT64": (-(2**63), 2**63 - 1, "<q"),
    b"UINT8": (0, 2**8 - 1, "<B"),
    b"UINT16": (0, 2**16 - 1, "<H"),
    b"BOOL": (0, 1, "<B"),
}

BAD_DTYPE = fails("ERR invalid data type")
BAD_SHAPE = fails("ERR invalid or negative value found in tensor shape")
ONE_BLOB = fails("ERR a single binary string should come after the BLOB argument in 'AI.TENSORSET' command")
BAD_VALUE_COUNT = fails("ERR wrong number of values was given in 'AI.TENSORSET' command")
BAD_VALUE = fails("ERR invalid value")
BAD_LENGTH = fails("ERR data length does not match tensor shape and type")
BAD_BOOL = fails("ERR BOOL tensor elements must be 0 or 1")
INNER_NUL = fails("ERR C-string value contains null character")
BAD_STRING_COUNT = fails("ERR Number of string elements in data blob does not match tensor length")
BAD_FORMAT = fails("ERR unsupported data format")
BOTH_FORMATS = fails("ERR both BLOB and VALUES specified")

_Verdict = tuple[Expectation, TensorValue | None]


class TensorOracle:
    """Knows the server's limit on a tensor's size (MAX_TENSOR_SIZE), beyond which any error will do."""

    def __init__(self, size_limit: int) -> None:
        self.size_limit = size_limit

    # AI.TENSORSET

    def expect_set(self, command: Command, keys: Keyspace) -> _Verdict:
        """The expectation, and what the key holds afterwards if the command succeeds."""
        if len(command) < 4:
            return wrong_arity(command[0]), None
        existing = keys.get(command[1])
        if existing is not None and is_tensor(existing) is False:
            return WRONG_TYPE, None
        expectation, value = self._expect_tensor(command[2:])
        # An unknown value may be of another type.
        return (expectation if existing is not UNKNOWN else _weaker(expectation)), value

    def _expect_tensor(self, words: Command) -> _Verdict:
        dtype = words[0].upper()
        if dtype not in ITEM_SIZES:
            return BAD_DTYPE, None
        dims: list[int] = []
        position = 1
        while position < len(words) and words[position].upper() not in (b"BLOB", b"VALUES"):
            dim = numbers.integer(words[position])
            if dim is None or dim < 1:
                return BAD_SHAPE, None
            if len(dims) == RANK_LIMIT:
                return FAILS, None
            dims.append(dim)
            position += 1
        count = 1
        for dim in dims:
            count *= dim
        if position == len(words):
            return self._expect_zeros(dtype, dims, count)
        data = words[position + 1 :]
        if words[position].upper() == b"BLOB":
            return self._expect_blob(dtype, dims, count, data)
        return self._expect_values(dtype, dims, count, data)

    def _too_large(self, dtype: bytes, count: int) -> bool:
        return count * ITEM_SIZES[dtype] > self.size_limit

    def _expect_zeros(self, dtype: bytes, dims: list[int], count: int) -> _Verdict:
        if self._too_large(dtype, count):
            return FAILS, None
        return SUCCEEDS, TensorValue(dtype, tuple(dims), bytes(count * ITEM_SIZES[dtype]))

    def _expect_blob(self, dtype: bytes, dims: list[int], count: int, data: Command) -> _Verdict:
        if len(data) != 1:
            return ONE_BLOB, None
        blob = data[0]
        if self._too_large(dtype, count) or len(blob) > self.size_limit:
            return FAILS, None
        if dtype == b"STRING":
            if not blob.endswith(b"\0") or blob.count(b"\0") != count:
                return BAD_STRING_COUNT, None
        elif len(blob) != count * ITEM_SIZES[dtype]:
            return BAD_LENGTH, None
        if dtype == b"BOOL" and blob.strip(b"\0\1"):
            return BAD_BOOL, None
        return SUCCEEDS, TensorValue(dtype, tuple(dims), blob)

    def _expect_values(self, dtype: bytes, dims: list[int], count: int, data: Command) -> _Verdict:
        if count >= 2**63:
            return FAILS, None
        if len(data) != count:
            return BAD_VALUE_COUNT, None
        if self._too_large(dtype, count):
            return FAILS, None
        if dtype == b"STRING":
            return self._expect_strings(dims, data)
        if dtype in _INTEGERS:
            return _expect_integers(dtype, dims, data)
        return _expect_fractions(dtype, dims, data)

    def _expect_strings(self, dims: list[int], data: Command) -> _Verdict:
        elements = [value[:-1] if value.endswith(b"\0") else value for value in data]
        if any(b"\0" in element for element in elements):
            return INNER_NUL, None
        blob = b"".join(element + b"\0" for element in elements)
        if len(blob) > self.size_limit:
            return FAILS, None
        return SUCCEEDS, TensorValue(b"STRING", tuple(dims), blob)

    # AI.TENSORGET

    def expect_get(self, command: Command, keys: Keyspace) -> Expectation:
        if not 2 <= len(command) <= 4:
            return wrong_arity(command[0])
        value = keys.get(command[1])
        if value is None:
            return NO_TENSOR
        if value is UNKNOWN:
            return OPEN
        if not is_tensor(value):
            return WRONG_TYPE
        words = {word.upper() for word in command[2:]}
        if words - {b"META", b"BLOB", b"VALUES"}:
            return BAD_FORMAT
        return BOTH_FORMATS if {b"BLOB", b"VALUES"} <= words else SUCCEEDS

    def complaint_about_content(self, command: Command, keys: Keyspace, reply: Any) -> str | None:
        """Compares the tensor in a reply with the one that was stored, if that is known."""
        value = keys.get(command[1])
        return _reply_complaint(command[2:], value, reply) if isinstance(value, TensorValue) else None


def _weaker(expectation: Expectation) -> Expectation:
    return FAILS if expectation.succeeds is False else OPEN


def _expect_integers(dtype: bytes, dims: list[int], data: Command) -> _Verdict:
    least, greatest, form = _INTEGERS[dtype]
    elements = []
    for word in data:
        value = numbers.integer(word)
        if value is None or not least <= value <= greatest:
            return BAD_VALUE, None
        elements.append(value)
    blob = struct.pack(f"<{len(elements)}{form[1]}", *elements)
    return SUCCEEDS, TensorValue(dtype, tuple(dims), blob)


def _expect_fractions(dtype: bytes, dims: list[int], data: Command) -> _Verdict:
    verdicts = [numbers.is_double(word) for word in data]
    if False in verdicts:
        return BAD_VALUE, None
    expectation = SUCCEEDS if None not in verdicts else OPEN
    return expectation, TensorValue(dtype, tuple(dims), _pack_fractions(dtype, data, expectation))


def _pack_fractions(dtype: bytes, data: Command, expectation: Expectation) -> bytes | None:
    """The bytes of the tensor; None where rounding or the reading of a number is not this program's to say."""
    if expectation is not SUCCEEDS:
        return None
    try:
        return struct.pack(f"<{len(data)}{'d' if dtype == b'DOUBLE' else 'f'}", *map(float, data))
    except OverflowError:
        return None


def _reply_complaint(words: Command, value: TensorValue, reply: Any) -> str | None:
    """Compares a tensor as it came back with what was stored."""
    wanted = {word.upper() for word in words} or {b"META", b"BLOB"}
    parts = list(reply) if isinstance(reply, list) and b"META" in wanted else [reply]
    if b"META" in wanted:
        meta = [b"dtype", value.dtype, b"shape", list(value.dims)]
        if parts[:4] != meta:
            return f"wrong META: {parts[:4]!r:.200} instead of {meta!r:.200}"
        del parts[:4]
        if wanted == {b"META"}:
            return None if not parts else "surplus elements after META"
        if len(parts) != 2 or parts[0] != (b"values" if b"VALUES" in wanted else b"blob"):
            return f"wrong labels: {parts!r:.200}"
        del parts[0]
    data = parts[0]
    if b"BLOB" in wanted:
        if value.blob is not None and data != value.blob:
            return f"wrong blob: {data!r:.100} instead of {value.blob!r:.100}"
        return None
    return _values_complaint(value, data)


def _values_complaint(value: TensorValue, data: Any) -> str | None:
    if value.blob is None:
        return None
    expected = _elements(value)
    found = [_number(element, value.dtype) for element in data]
    if len(found) != len(expected):
        return f"{len(found)} values instead of {len(expected)}"
    if repr(found) != repr(expected):  # Unlike ==, this takes NaN for equal to itself.
        return f"wrong values: {found!r:.100} instead of {expected!r:.100}"
    return None


def _elements(value: TensorValue) -> list[Any]:
    assert value.blob is not None
    if value.dtype == b"STRING":
        return value.blob.split(b"\0")[:-1]
    if value.dtype in _INTEGERS:
        form = _INTEGERS[value.dtype][2][1]
    else:
        form = "d" if value.dtype == b"DOUBLE" else "f"
    return list(struct.unpack(f"<{len(value.blob) // ITEM_SIZES[value.dtype]}{form}", value.blob))


def _number(element: Any, dtype: bytes) -> Any:
    if dtype not in (b"FLOAT", b"DOUBLE"):
        return element
    return element.value if isinstance(element, Double) else float(element)
