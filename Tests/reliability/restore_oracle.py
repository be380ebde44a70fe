"""What RESTORE has to make of a payload: a reader of all layouts that follows reference section 10.1 and nothing else.

A payload that can be read gives the values that DUMP has to write then, in layout 4; another one None.
"""

from __future__ import annotations

import math
import re
import struct

import numpy as np
from support import dump
from support.dump import MODULE_VALUE, Value, type_id

TYPES = ("AI_TENSOR", "AI__MODEL", "AI_SCRIPT")
NEWEST = 4
RANK_LIMIT = 64
NAME_LIMIT = 100_000
SCRIPT_LIMIT = 16 * 1024 * 1024
ENGINES = range(4)
TF = 0

_INT_MAX = 2**63 - 1
_UNSIGNED, _STRING, _END = 2, 5, 0
_CPU = 1
_CODES = {
    **{(2, 32): "<f4", (2, 64): "<f8", (0, 8): "i1", (0, 16): "<i2", (0, 32): "<i4", (0, 64): "<i8"},
    **{(1, 8): "u1", (1, 16): "<u2", (6, 8): "u1", (7, 8): "u1"},
}
_BOOL, _TEXT = (6, 8), (7, 8)
_DEVICE = re.compile(rb"(?i)(CPU|GPU)(:[0-9]{0,5})?")
_IDENTITIES = {type_id(name, version): (name, version) for name in TYPES for version in range(NEWEST + 1)}


class Unreadable(Exception):
    """The payload has to be refused."""


class Undecided(Exception):
    """What becomes of the payload is the server's business."""


def expected(payload: bytes) -> tuple[str, list[Value]] | None:
    """The type and the values of DUMP after RESTORE of a payload; None if it has to be refused.

    The server reads on into version and checksum when a value claims more bytes than there are.
    """
    reader = _Reader(payload)
    try:
        if reader.take(1)[0] != MODULE_VALUE:
            raise Undecided
        identity = reader.length()
        if identity not in _IDENTITIES:
            return None
        name, version = _IDENTITIES[identity]
        values = {"AI_TENSOR": _tensor, "AI__MODEL": _model, "AI_SCRIPT": _script}[name](reader, version)
        if reader.length() != _END:
            return None
        return name, values
    except Unreadable:
        return None


def _tensor(reader: _Reader, version: int) -> list[Value]:
    is_old = version < 4
    if is_old:
        _require(reader.number() == _CPU)
        reader.number()
        bits, code, lanes = reader.number(), reader.number(), reader.number()
        _require(lanes == 1)
    else:
        code, bits = reader.number(), reader.number()
    _require((code, bits) in _CODES and ((code, bits) != _TEXT or not is_old))
    rank = reader.number()
    _require(rank <= RANK_LIMIT)
    shape = [reader.signed() for _ in range(rank)]
    strides = [reader.signed() for _ in range(rank)] if is_old else None
    offset = reader.number() if is_old else 0
    data = reader.string()
    _require(all(dim >= 0 for dim in shape) and offset <= len(data))
    # Sizes are computed without the zeros as well, so that what is left could be multiplied.
    _require(math.prod(dim for dim in shape if dim) <= _INT_MAX)
    count, size = math.prod(shape), np.dtype(_CODES[code, bits]).itemsize
    if strides is not None:
        data = _packed(data, offset, shape, strides, count, size)
    if (code, bits) == _TEXT:
        _require(data.count(0) == count and (data.endswith(b"\0") if count else not data))
        for _ in range(count):
            reader.number()
        starts = [0, *(index + 1 for index, byte in enumerate(data) if byte == 0)][:-1] if count else []
        return [code, bits, rank, *shape, data, *starts]
    _require(len(data) == count * size)
    _require((code, bits) != _BOOL or set(data) <= {0, 1})
    return [code, bits, rank, *shape, data]


def _packed(data: bytes, offset: int, shape: list[int], strides: list[int], count: int, size: int) -> bytes:
    """The elements in the order of the shape."""
    _require(offset + count * size <= len(data))
    dims = [(dim, stride) for dim, stride in zip(shape, strides) if dim != 1]
    contiguous = all(stride == math.prod(dim for dim, _ in dims[i + 1 :]) for i, (_, stride) in enumerate(dims))
    if count == 0 or contiguous:
        return data if offset == 0 else data[offset : offset + count * size]
    _require(all(stride >= 0 for _, stride in dims))
    last = sum((dim - 1) * stride for dim, stride in dims)
    _require(offset + (last + 1) * size <= len(data))
    places = np.zeros((), dtype=np.int64)
    for dim, stride in dims:
        places = np.add.outer(places, np.arange(dim) * stride)
    elements = np.frombuffer(data, dtype=f"V{size}", count=(len(data) - offset) // size, offset=offset)
    return elements[places.ravel()].tobytes()


def _model(reader: _Reader, version: int) -> list[Value]:
    engine, device, tag = _small(reader.number()), reader.string(), reader.string()
    _require(engine in ENGINES)
    device = _device(device)
    if version == 0:
        tag = tag.removesuffix(b"\0")
    batching = [_small(reader.number()), _small(reader.number())]
    batching.append(_small(reader.number()) if version >= 2 else 0)
    # A minimum means nothing without a size, nor its timeout without it: no command accepts that.
    batching = [number if all(batching[:index]) else 0 for index, number in enumerate(batching)]
    inputs, outputs = _names(reader), _names(reader)
    if engine == TF and not (inputs and outputs):
        # There must be a command that makes the model, and these words have a meaning in it.
        _require(not {name[:-1].upper() for name in inputs + outputs} & {b"BLOB", b"OUTPUTS"})
    names: list[Value] = [len(inputs), *inputs, len(outputs), *outputs]
    if version == 0:
        blob = reader.string()
    else:
        length, pieces = _small(reader.number()), _small(reader.number())
        blob = b"".join(reader.string() for _ in range(pieces))
        _require(len(blob) == length)
    return [engine, device, tag, *batching, *names, len(blob), 1, blob]


def _names(reader: _Reader) -> list[bytes]:
    count = reader.number()
    _require(count <= NAME_LIMIT)
    return [_terminated(reader.string()) for _ in range(count)]


def _script(reader: _Reader, version: int) -> list[Value]:
    device, tag, source = _device(reader.string()), reader.string(), reader.string()
    _require(len(source) <= SCRIPT_LIMIT + 1)
    if version == 0:
        tag = tag.removesuffix(b"\0")
    count = reader.number() if version >= 3 else 0
    _require(count <= NAME_LIMIT)
    names = [_terminated(reader.string()) for _ in range(count)]
    return [device, tag, source.split(b"\0")[0] + b"\0", count, *names]


def _require(condition: bool) -> None:
    if not condition:
        raise Unreadable


def _small(number: int) -> int:
    """A count: it has to fit a signed number."""
    _require(number <= _INT_MAX)
    return number


def _device(text: bytes) -> bytes:
    name = text.removesuffix(b"\0")
    _require(_DEVICE.fullmatch(name) is not None)
    return name + b"\0"


def _terminated(name: bytes) -> bytes:
    """Names are text: what is no UTF-8 is replaced."""
    return name.removesuffix(b"\0").decode(errors="replace").encode() + b"\0"


class _Reader:
    """Reads values as the server does."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def take(self, count: int) -> bytes:
        end = self._position + count
        _require(end <= len(self._data))
        taken = self._data[self._position : end]
        self._position = end
        return taken

    def length(self) -> int:
        first = self.take(1)[0]
        if first >> 6 == 0:
            return first
        if first >> 6 == 1:
            return (first & 63) << 8 | self.take(1)[0]
        if first == 0x80:
            return struct.unpack(">I", self.take(4))[0]
        if first == 0x81:
            return struct.unpack(">Q", self.take(8))[0]
        _require(first >> 6 == 3)
        # The mark of a specially encoded string: to the server a small number where it expects no string.
        return first & 63

    def number(self) -> int:
        _require(self.length() == _UNSIGNED)
        return self.length()

    def signed(self) -> int:
        number = self.number()
        return number - 2**64 if number > _INT_MAX else number

    def string(self) -> bytes:
        _require(self.length() == _STRING)
        _require(self._position < len(self._data))
        first = self._data[self._position]
        if first >> 6 != 3:
            return self.take(self.length())
        self.take(1)
        if first == 0xC3:
            return self._decompressed()
        _require(first in (0xC0, 0xC1, 0xC2))
        return b"%d" % int.from_bytes(self.take(1 << (first & 63)), "little", signed=True)

    def _decompressed(self) -> bytes:
        size, plain = self.length(), self.length()
        data = self.take(size)
        try:
            return dump.decompress(data, plain)
        except (AssertionError, IndexError):
            # What LZF makes of damaged data is not this campaign's subject.
            raise Undecided from None
