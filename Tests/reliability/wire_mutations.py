"""Damages protobuf messages without knowing their schemas: GraphDef and SavedModel, whose classes come with TensorFlow.

A field of bytes that can be read as a message is taken for one; writing it again gives the same bytes either way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from reliability.model_mutations import NUMBERS, TEXTS, damage_bytes

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_DEPTH_LIMIT = 40
_WIDTHS = {FIXED64: 8, FIXED32: 4}


@dataclass
class Field:
    """A field; its value is an int, bytes, or a message."""

    number: int
    wire: int
    value: int | bytes | Message


@dataclass
class Message:
    """Fields in their order."""

    fields: list[Field] = field(default_factory=list)

    def encode(self) -> bytes:
        return b"".join(_encode(item) for item in self.fields)

    def each(self) -> list[tuple[Message, int]]:
        """All fields of this message and those inside it, as their message and position."""
        found = []
        for index, item in enumerate(self.fields):
            found.append((self, index))
            if isinstance(item.value, Message):
                found += item.value.each()
        return found


def parse(data: bytes, depth: int = 0) -> Message | None:
    """None when the bytes cannot be a message."""
    message = Message()
    position = 0
    while position < len(data):
        key = _varint(data, position)
        if key is None or not 0 < key[0] >> 3 < 1 << 20:
            return None
        value = _value(data, key[1], key[0] & 7, depth)
        if value is None:
            return None
        message.fields.append(Field(key[0] >> 3, key[0] & 7, value[0]))
        position = value[1]
    return message


def _value(data: bytes, position: int, wire: int, depth: int) -> tuple[int | bytes | Message, int] | None:
    """The value at the position and what follows it."""
    if wire == VARINT:
        return _varint(data, position)
    if wire in _WIDTHS:
        end = position + _WIDTHS[wire]
        return (data[position:end], end) if end <= len(data) else None
    length = _varint(data, position) if wire == BYTES else None
    if length is None or length[1] + length[0] > len(data):
        return None
    content = data[length[1] : length[1] + length[0]]
    message = parse(content, depth + 1) if content and depth < _DEPTH_LIMIT else None
    return content if message is None else message, length[1] + length[0]


def _varint(data: bytes, position: int) -> tuple[int, int] | None:
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(data):
            return None
        value |= (data[position] & 0x7F) << shift
        position += 1
        if not data[position - 1] & 0x80:
            return value, position
    return None


def encode_varint(value: int) -> bytes:
    """Negative numbers as ten bytes, as protobuf has them."""
    value &= (1 << 64) - 1
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(encoded) + bytes([value])


def _encode(item: Field) -> bytes:
    key = encode_varint(item.number << 3 | item.wire)
    if isinstance(item.value, int):
        return key + encode_varint(item.value)
    content = item.value.encode() if isinstance(item.value, Message) else item.value
    return key + content if item.wire in _WIDTHS else key + encode_varint(len(content)) + content


# Damage


def damage_message(data: bytes, random: Random, operations: list[bytes]) -> bytes:
    """A damaged copy; ``operations`` are names that may stand wherever one of them stands."""
    message = parse(data) if random.random() > 0.12 else None
    if message is None or not message.fields:
        return damage_bytes(data, random)
    names = set(operations)
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        if random.random() < 0.25 and _change_operation(message, random, operations, names):
            continue
        random.choice(_DAMAGES)(message, random)
    return message.encode()


def _pick(message: Message, random: Random, of: Callable[[Field], bool]) -> tuple[Message, int] | None:
    places = [place for place in message.each() if of(place[0].fields[place[1]])]
    return random.choice(places) if places else None


def _change_operation(message: Message, random: Random, operations: list[bytes], names: set[bytes]) -> bool:
    place = _pick(message, random, lambda item: isinstance(item.value, bytes) and item.value in names)
    if place is not None:
        place[0].fields[place[1]].value = random.choice(operations)
    return place is not None


def _change_number(message: Message, random: Random) -> None:
    place = _pick(message, random, lambda item: item.wire == VARINT)
    if place is not None:
        value = random.choice(NUMBERS)
        # Small numbers are types and flags.
        place[0].fields[place[1]].value = value if random.random() < 0.6 else random.randrange(30)


def _change_bytes(message: Message, random: Random) -> None:
    place = _pick(message, random, lambda item: isinstance(item.value, bytes))
    if place is None:
        return
    item = place[0].fields[place[1]]
    assert isinstance(item.value, bytes)
    if item.wire in _WIDTHS:
        item.value = random.choice((b"\xff", b"\0", b"\x7f")) * _WIDTHS[item.wire]
    elif random.random() < 0.4:
        item.value = damage_bytes(item.value, random)
    else:
        item.value = random.choice(TEXTS).encode()


def _rewire(message: Message, random: Random) -> None:
    """One name or constant takes the place of another."""
    places = [place for place in message.each() if isinstance(place[0].fields[place[1]].value, bytes)]
    texts = [place for place in places if place[0].fields[place[1]].wire == BYTES]
    if texts:
        target, source = random.choice(texts), random.choice(texts)
        target[0].fields[target[1]].value = source[0].fields[source[1]].value


def _remove(message: Message, random: Random) -> None:
    place = random.choice(message.each())
    del place[0].fields[place[1]]
    if not message.fields:
        message.fields.append(Field(1, VARINT, 1))


def _repeat(message: Message, random: Random) -> None:
    owner, index = random.choice(message.each())
    owner.fields[index:index] = [owner.fields[index]] * random.choice((1, 1, 2, 100))


def _graft(message: Message, random: Random) -> None:
    """A part takes the place of another with the same number elsewhere: an attribute of another node."""
    owner, index = random.choice(message.each())
    number = owner.fields[index].number
    others = [place for place in message.each() if place[0].fields[place[1]].number == number]
    other = random.choice(others)
    # A copy: a message that contains itself could not be written.
    owner.fields[index] = parse(_encode(other[0].fields[other[1]])).fields[0]  # type: ignore[union-attr]


def _renumber(message: Message, random: Random) -> None:
    owner, index = random.choice(message.each())
    owner.fields[index].number = random.randrange(1, 20)


def _nest(message: Message, random: Random) -> None:
    """A part inside itself, many times: parsers recurse."""
    owner, index = random.choice(message.each())
    item = owner.fields[index]
    content = _encode(item)
    for _ in range(random.choice((3, 30, 200))):
        content = encode_varint(item.number << 3 | BYTES) + encode_varint(len(content)) + content
    owner.fields[index] = Field(item.number, BYTES, content)


_DAMAGES: list[Callable[[Message, Random], None]] = [
    *[_change_number] * 8,
    *[_change_bytes] * 5,
    *[_rewire] * 4,
    *[_remove] * 3,
    *[_graft] * 4,
    *[_repeat] * 2,
    _renumber,
    _nest,
]
