"""Damages LiteRT models: flatbuffers, walked along the schema of TFLite as far as it matters."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from reliability.model_mutations import damage_bytes

# Field types: a number is a scalar of that many bytes, "text" a string, [x] a vector, a name another table.
_SCHEMA: dict[str, dict[int, object]] = {
    "Model": {
        0: 4, 1: ["OperatorCode"], 2: ["SubGraph"], 3: "text", 4: ["Buffer"], 5: [4], 6: ["Metadata"], 7: ["Signature"]
    },
    "OperatorCode": {0: 1, 1: "text", 2: 4, 3: 4},
    "SubGraph": {0: ["Tensor"], 1: [4], 2: [4], 3: ["Operator"], 4: "text"},
    "Tensor": {0: [4], 1: 1, 2: 4, 3: "text", 4: "Quantization", 5: 1, 6: "Sparsity", 7: [4], 8: 1},
    "Quantization": {0: [4], 1: [4], 2: [4], 3: [8], 4: 1, 6: 4},
    "Sparsity": {0: [4], 1: [4]},
    "Operator": {0: 4, 1: [4], 2: [4], 3: 1, 4: "Options", 5: [1], 6: 1, 7: [1], 8: [4]},
    # A union of more than a hundred tables; nearly all have small numbers only.
    "Options": {index: 4 for index in range(8)},
    "Buffer": {0: [1], 1: 8, 2: 8},
    "Metadata": {0: "text", 1: 4},
    "Signature": {0: ["TensorMap"], 1: ["TensorMap"], 2: "text", 4: 4},
    "TensorMap": {0: "text", 1: 4},
}  # fmt: skip
_DATA_LIMIT = 64
"""Of a vector of numbers only so many are places of their own: weights would leave nothing for the rest."""
SCALARS = (
    0,
    1,
    -1,
    2,
    3,
    4,
    5,
    7,
    8,
    16,
    32,
    100,
    127,
    128,
    255,
    1000,
    65536,
    2**20,
    2**30,
    2**31 - 1,
    -(2**31),
    2**63 - 1,
)


@dataclass(frozen=True)
class Place:
    """Bytes that mean something: a scalar, an offset, the length of a vector, or an entry of a table's directory."""

    kind: str
    position: int
    size: int


class _Walker:
    """Reads a sound model; each table once."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._seen: set[int] = set()

    def places(self) -> Iterator[Place]:
        yield Place("offset", 0, 4)
        yield from self._table(self._number("<I", 0), "Model")

    def _number(self, form: str, position: int) -> int:
        return struct.unpack_from(form, self._data, position)[0]

    def _table(self, position: int, name: str) -> Iterator[Place]:
        if position in self._seen:
            return
        self._seen.add(position)
        yield Place("offset", position, 4)
        directory = position - self._number("<i", position)
        size = self._number("<H", directory)
        yield Place("directory", directory, 2)
        yield Place("directory", directory + 2, 2)
        for index, kind in _SCHEMA[name].items():
            entry = directory + 4 + 2 * index
            if entry + 2 > directory + size:
                continue
            yield Place("directory", entry, 2)
            if offset := self._number("<H", entry):
                yield from self._field(position + offset, kind)

    def _field(self, position: int, kind: object) -> Iterator[Place]:
        if isinstance(kind, int):
            yield Place("scalar", position, kind)
            return
        yield Place("offset", position, 4)
        target = position + self._number("<I", position)
        if isinstance(kind, list):
            yield from self._vector(target, kind[0])
        elif kind == "text":
            yield from self._vector(target, 1)
        else:
            yield from self._table(target, str(kind))

    def _vector(self, position: int, kind: object) -> Iterator[Place]:
        yield Place("length", position, 4)
        count = self._number("<I", position)
        if isinstance(kind, int):
            for index in range(min(count, _DATA_LIMIT // kind)):
                yield Place("scalar", position + 4 + index * kind, kind)
            return
        for index in range(count):
            yield from self._field(position + 4 + 4 * index, kind)


def places(data: bytes) -> list[Place]:
    """Everything in the file that can be damaged knowingly."""
    return [place for place in _Walker(data).places() if place.position + place.size <= len(data)]


def damage_flatbuffer(data: bytes, random: Random) -> bytes:
    """A damaged copy of a sound model."""
    if random.random() < 0.12:
        return damage_bytes(data, random)
    found = places(data)
    scalars = [place for place in found if place.kind == "scalar"]
    damaged = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 4))):
        place = random.choice(scalars if random.random() < 0.65 else found)
        _write(damaged, place, _value(bytes(data), place, found, random))
    return bytes(damaged)


def _value(data: bytes, place: Place, found: list[Place], random: Random) -> int:
    """Something impossible, something near, or what stands elsewhere in the file."""
    now = int.from_bytes(data[place.position : place.position + place.size], "little")
    choice = random.random()
    if choice < 0.3:
        return now + random.choice((-8, -4, -2, -1, 1, 2, 4, 8))
    if choice < 0.5:
        other = random.choice([other for other in found if other.kind == place.kind])
        return int.from_bytes(data[other.position : other.position + other.size], "little")
    return random.choice(SCALARS) if choice < 0.9 else random.getrandbits(8 * place.size)


def _write(data: bytearray, place: Place, value: int) -> None:
    mask = (1 << 8 * place.size) - 1
    data[place.position : place.position + place.size] = (value & mask).to_bytes(place.size, "little")


def with_version(data: bytes, version: int) -> bytes:
    """The same model said to be of another version of the schema: the first field of its root."""
    damaged = bytearray(data)
    scalar = next(place for place in places(data) if place.kind == "scalar")
    _write(damaged, scalar, version)
    return bytes(damaged)


def with_vectors_of_2_gb(data: bytes) -> bytes:
    """The same model whose vectors are all said to hold two thousand million elements."""
    damaged = bytearray(data)
    for place in places(data):
        if place.kind == "length":
            _write(damaged, place, 2**31 - 1)
    return bytes(damaged)
