"""Payloads of RESTORE for all layouts of the three types, and what can be done to them."""

from __future__ import annotations

import struct
from random import Random

from support import dump
from support.dump import MODULE_VALUE, Signed, encode_length, encode_value, type_id

from reliability.restore_oracle import NEWEST, TYPES

_INTERESTING = (
    *(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 16, 17, 31, 32, 63, 64, 65, 127, 128, 255, 256, 1000, 65_535, 65_536, 99_999, 100_001),
    *(2**31 - 1, 2**31, 2**32 - 1, 2**32, 10**12, 2**53, 2**61, 2**62, 2**63 - 1, 2**63, 2**63 + 1, 2**64 - 2, 2**64 - 1),
)
# Claims of string lengths stay small enough that the server's own reading of them is quick.
_CLAIMS = (0, 1, 5, 63, 64, 4096, 16_384, 2**20, 2**24, 2**62, 2**63, 2**64 - 1)
_DTYPES = ((2, 32), (2, 64), (0, 8), (0, 16), (0, 32), (0, 64), (1, 8), (1, 16), (6, 8), (7, 8))
_DEVICES = (b"CPU\0", b"cpu\0", b"CPU:1\0", b"GPU\0", b"gpu:0\0", b"CPU", b"TPU\0", b"CPU:123456\0", b"\0", b"", b"CP\xff\0")
_WORDS = (
    *(b"", b"\0", b"a\0", b"name\0", b"no end", b"tw\0o\0", b"\xff\xfe\0", b"v1", b"x" * 100, b"\xe2\x82\0"),
    *(b"blob\0", b"OUTPUTS\0"),
)
_END = encode_length(0)
_STRING_OPCODE = 5


class Payloads:
    """Numbered payloads: each depends on the seed and its number alone. The first word of a seed makes no difference."""

    def __init__(self, seed: str) -> None:
        self._seed = seed

    def body(self, type_name: str, number: int) -> bytes:
        """A payload without version and checksum; one in ten is sound."""
        random = Random(f"{self._seed}:{type_name}:{number}")
        version = random.randrange(NEWEST + 1)
        values = [encode_value(value) for value in sound_values(type_name, version, random)]
        for _ in range(random.choice((0, 1, 1, 1, 1, 2, 2, 3, 5, 8)) if number % 10 else 0):
            values = _mutate_values(values, random)
        body = _assemble(type_name, version, values, random if number % 10 else None)
        body = _mutate_bytes(body, random) if number % 10 and random.random() < 0.3 else body
        # What else can stand here is read by the server itself, which ends itself on some of it.
        return bytes([MODULE_VALUE]) + body[1:]


def sound_values(type_name: str, version: int, random: Random) -> list[dump.Value | Signed]:
    return {"AI_TENSOR": _tensor, "AI__MODEL": _model, "AI_SCRIPT": _script}[type_name](version, random)


def _tensor(version: int, random: Random) -> list[dump.Value | Signed]:
    code, bits = random.choice(_DTYPES)
    if code == 7 and version < 4:
        code, bits = 0, 8
    shape = [random.choice((0, 1, 1, 2, 2, 3, 4, 5)) for _ in range(random.choice((0, 1, 1, 2, 2, 3, 4, 9)))]
    if sum(dim > 1 for dim in shape) > 4:
        shape = [1] * len(shape)
    count = 1
    for dim in shape:
        count *= dim
    if code == 7:
        words = [bytes(random.randrange(1, 256) for _ in range(random.randrange(4))) for _ in range(count)]
        starts = [sum(len(word) + 1 for word in words[:index]) for index in range(count)]
        data = b"".join(word + b"\0" for word in words)
        return [code, bits, Signed(len(shape)), *map(Signed, shape), data, *starts]
    data = bytes(random.randrange(2) for _ in range(count * bits // 8))
    if version == 4:
        return [code, bits, Signed(len(shape)), *map(Signed, shape), data]
    strides, offset, data = _apart(shape, bits // 8, data, random)
    head = [1, Signed(random.choice((0, -1, 3))), bits, code, 1, len(shape)]
    return [*head, *map(Signed, shape), *map(Signed, strides), offset, data]


def _apart(shape: list[int], size: int, data: bytes, random: Random) -> tuple[list[int], int, bytes]:
    """Strides, offset and bytes: contiguous, or in another order of the dimensions, or with something in between."""
    order = list(range(len(shape)))
    gap = 1
    offset = 0
    if random.random() < 0.5:
        random.shuffle(order)
        gap = random.choice((1, 1, 2, 3)) if max(shape, default=0) > 1 else 1
        offset = random.choice((0, 0, size, 3))
    strides = [0] * len(shape)
    step = gap
    for index in reversed(order):
        strides[index] = step
        step *= max(1, shape[index])
    return strides, offset, bytes(offset) + data * gap + bytes(offset and size)


def _model(version: int, random: Random) -> list[dump.Value | Signed]:
    tag = random.choice((b"", b"v1", b"v\xff", b"a\0b")) + (b"\0" if version == 0 else b"")
    head = [random.randrange(4), random.choice(_DEVICES[:5]), tag]
    head += [random.choice((0, 1, 8, 2**40)) for _ in range(3 if version >= 2 else 2)]
    for _ in range(2):
        names = [random.choice(_WORDS[2:6]) for _ in range(random.choice((0, 0, 1, 2)))]
        head += [len(names), *names]
    blob = random.randbytes(random.choice((0, 1, 20, 300))) + b"\0" * random.randrange(2)
    if version == 0:
        return [*head, blob]
    size = random.choice((1, 7, 64, 1000))
    pieces = [blob[start : start + size] for start in range(0, len(blob), size)] or [b""]
    # RedisAI wrote an empty piece at the end where the size divides the length.
    pieces += [b""] if random.random() < 0.2 else []
    return [*head, len(blob), len(pieces), *pieces]


def _script(version: int, random: Random) -> list[dump.Value | Signed]:
    tag = random.choice((b"", b"v1", b"v\xff")) + (b"\0" if version == 0 else b"")
    source = random.choice((b"def f(a, b):\n    return a + b\n", b"", b"\xff", b"def (", b"x" * 500)) + b"\0"
    names = [random.choice(_WORDS[2:6]) for _ in range(random.choice((0, 1, 2)))]
    return [random.choice(_DEVICES[:5]), tag, source, *([len(names), *names] if version >= 3 else [])]


def _assemble(type_name: str, version: int, values: list[bytes], random: Random | None) -> bytes:
    """The payload; with a source of chance now and then of another type or layout, or without its end."""
    end = _END
    if random is not None:
        chance = random.random()
        if chance < 0.03:
            version = random.choice((0, 1, 2, 3, 4, 5, 1023))
        elif chance < 0.06:
            type_name = random.choice(TYPES)
        elif chance < 0.08:
            end = random.choice((b"", b"\x02", _END + b"more", _END * 3))
    return bytes([MODULE_VALUE]) + encode_length(type_id(type_name, version)) + b"".join(values) + end


def _mutate_values(values: list[bytes], random: Random) -> list[bytes]:
    values = list(values)
    index = random.randrange(len(values)) if values else 0
    kind = random.randrange(12)
    if kind == 0 and values:
        del values[index]
    elif kind == 1 and values:
        values.insert(index, values[index])
    elif kind == 2 and len(values) > 1:
        other = random.randrange(len(values))
        values[index], values[other] = values[other], values[index]
    elif kind == 3:
        values = values[:index]
    elif kind == 4:
        values.insert(index, _any_value(random))
    elif kind <= 8 and values:
        values[index] = _replaced(values[index], random)
    elif values:
        values[index] = _nudged(values[index], random)
    return values


def _replaced(value: bytes, random: Random) -> bytes:
    """Another value, mostly of the same kind."""
    if random.random() < 0.1:
        return _any_value(random)
    return _any_string(random) if value[0] == _STRING_OPCODE else _any_number(random)


def _nudged(value: bytes, random: Random) -> bytes:
    """A number that is a little larger or smaller, a string with other bytes or another claim of its length."""
    try:
        decoded = dump.decode_value(value)
    except (AssertionError, IndexError, KeyError, struct.error):
        return value
    if isinstance(decoded, int):
        return encode_value(Signed(decoded + random.choice((-2, -1, 1, 2, 8, decoded))))
    return _other_string(decoded, random) if isinstance(decoded, bytes) else value


def _other_string(data: bytes, random: Random) -> bytes:
    chance = random.randrange(5)
    if chance == 0:
        claim = random.choice((len(data) + 1, len(data) - 1, *_CLAIMS))
        return encode_length(_STRING_OPCODE) + _any_length(claim, random) + data
    if chance == 1:
        return encode_value(data[: random.randrange(len(data) + 1)])
    if chance == 2:
        return encode_value(data + random.choice((b"\0", b"\1", bytes(8))))
    if chance == 3 and data:
        position = random.randrange(len(data))
        return encode_value(data[:position] + random.randbytes(1) + data[position + 1 :])
    return encode_value(data.replace(b"\0", b"") if random.random() < 0.5 else random.choice((*_WORDS, *_DEVICES)))


def _any_value(random: Random) -> bytes:
    chance = random.random()
    if chance < 0.45:
        return _any_number(random)
    if chance < 0.9:
        return _any_string(random)
    return random.choice((b"\x03" + random.randbytes(4), b"\x04" + random.randbytes(8), b"\x01\x05", random.randbytes(3)))


def _any_number(random: Random) -> bytes:
    return encode_length(2) + _any_length(random.choice(_INTERESTING), random)


def _any_length(number: int, random: Random) -> bytes:
    """A number in any of the forms that it can have."""
    number &= 2**64 - 1
    forms = [encode_length(number), b"\x81" + struct.pack(">Q", number)]
    if number < 2**32:
        forms.append(b"\x80" + struct.pack(">I", number))
    if number < 2**14:
        forms.append(bytes([0x40 | number >> 8, number & 0xFF]))
    return random.choice(forms)


def _any_string(random: Random) -> bytes:
    chance = random.random()
    if chance < 0.5:
        return encode_value(random.choice((*_WORDS, *_DEVICES)))
    if chance < 0.8:
        return encode_value(random.randbytes(random.choice((0, 1, 2, 4, 8, 16, 64, 200))))
    if chance < 0.9:
        # Numbers as strings, as the server writes them.
        size = random.randrange(3)
        return encode_length(_STRING_OPCODE) + bytes([0xC0 | size]) + random.randbytes(1 << size)
    if chance < 0.97:
        plain = bytes([random.randrange(256)]) * random.randrange(4, 200)
        return encode_length(_STRING_OPCODE) + _compressed(plain)
    return encode_length(_STRING_OPCODE) + bytes([0xC3]) + encode_length(random.randrange(20)) + random.randbytes(20)


def _compressed(plain: bytes) -> bytes:
    """A run of one byte: a literal, and a reference to it."""
    rest = len(plain) - 1
    data = bytes([0]) + plain[:1]
    while rest >= 3:
        length = min(rest, 264)
        data += (bytes([(length - 2) << 5, 0]) if length < 9 else bytes([7 << 5, length - 9, 0]))
        rest -= length
    if rest:
        data += bytes([rest - 1]) + plain[:rest]
    return bytes([0xC3]) + encode_length(len(data)) + encode_length(len(plain)) + data


def _mutate_bytes(body: bytes, random: Random) -> bytes:
    """Bytes changed, cut, doubled or lost, wherever they are."""
    data = bytearray(body)
    for _ in range(random.choice((1, 1, 2, 4))):
        if not data:
            break
        position = random.randrange(len(data))
        kind = random.randrange(5)
        if kind == 0:
            data[position] ^= 1 << random.randrange(8)
        elif kind == 1:
            data[position] = random.choice((0, 1, 0x3F, 0x40, 0x7F, 0x80, 0x81, 0x82, 0xC0, 0xC3, 0xC4, 0xFF))
        elif kind == 2:
            del data[position:]
        elif kind == 3:
            del data[position : position + random.randrange(1, 9)]
        else:
            data[position:position] = data[position : position + random.randrange(1, 9)]
    return bytes(data)
