"""The server's DUMP format, so that tests can read and write the module's RDB layouts value by value.

A payload is: type byte 7 (module value), the module type's 64-bit id with its encoding version, a sequence of
(opcode, value) closed by opcode 0, the RDB version (2 bytes) and a CRC-64. Layouts are in reference section 10.1.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

Value = int | bytes | float

MODULE_VALUE = 7
_RDB_VERSION = 9  # old enough for every server
_UNSIGNED, _FLOAT, _DOUBLE, _STRING = 2, 3, 4, 5
_CHARACTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_CRC_POLYNOMIAL = 0x95AC9329AC4BC9B5  # CRC-64/Jones, reflected


@dataclass(frozen=True)
class Signed:
    """A signed number: written with the opcode of an unsigned one, as the server does, in two's complement."""

    number: int


@dataclass
class ModuleValue:
    """What a module's rdb_save wrote: type name, encoding version, values in order (numbers as unsigned 64 bit)."""

    type_name: str
    version: int
    values: list[Value]


def encode(type_name: str, version: int, values: list[Value | Signed]) -> bytes:
    """A payload for RESTORE."""
    parts = [bytes([MODULE_VALUE]), encode_length(type_id(type_name, version))]
    for value in values:
        parts.append(encode_value(value))
    parts.append(encode_length(0))
    return seal(b"".join(parts))


def seal(body: bytes) -> bytes:
    """Append the RDB version and a right checksum to any bytes at all."""
    body += struct.pack("<H", _RDB_VERSION)
    return body + struct.pack("<Q", _crc64(body))


def body_of(payload: bytes) -> bytes:
    """A payload without version and checksum."""
    return payload[:-10]


def decode(payload: bytes) -> ModuleValue:
    """Read a payload of DUMP."""
    reader = _Reader(body_of(payload))
    kind = reader.take(1)[0]
    assert kind == MODULE_VALUE, f"not a module value but type {kind}"
    identity = reader.length()
    name = "".join(_CHARACTERS[identity >> (10 + 6 * (8 - i)) & 63] for i in range(9))
    values: list[Value] = []
    while (opcode := reader.length()) != 0:
        values.append(reader.value(opcode))
    assert reader.at_end()
    return ModuleValue(name, identity & 1023, values)


def decode_value(data: bytes) -> Value:
    """The value behind an opcode."""
    reader = _Reader(data)
    return reader.value(reader.length())


def type_id(name: str, version: int) -> int:
    """The 64-bit number of a type and its layout."""
    identity = 0
    for character in name:
        identity = identity << 6 | _CHARACTERS.index(character)
    return identity << 10 | version


def encode_value(value: Value | Signed) -> bytes:
    """A value with its opcode."""
    if isinstance(value, Signed):
        return encode_length(_UNSIGNED) + encode_length(value.number & (2**64 - 1))
    if isinstance(value, int):
        return encode_length(_UNSIGNED) + encode_length(value)
    if isinstance(value, float):
        return encode_length(_DOUBLE) + struct.pack("<d", value)
    return encode_length(_STRING) + encode_length(len(value)) + value


def encode_length(length: int) -> bytes:
    """A number in its shortest form."""
    if length < 1 << 6:
        return bytes([length])
    if length < 1 << 14:
        return bytes([0x40 | length >> 8, length & 0xFF])
    if length < 1 << 32:
        return b"\x80" + struct.pack(">I", length)
    return b"\x81" + struct.pack(">Q", length)


class _Reader:
    """Walks over the bytes of a payload."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def at_end(self) -> bool:
        return self._position == len(self._data)

    def take(self, count: int) -> bytes:
        taken = self._data[self._position : self._position + count]
        assert len(taken) == count, "the payload ends too early"
        self._position += count
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
        raise AssertionError(f"a specially encoded string (0x{first:x}) where a length was expected")

    def value(self, opcode: int) -> Value:
        if opcode == _UNSIGNED:
            return self.length()
        if opcode == _FLOAT:
            return struct.unpack("<f", self.take(4))[0]
        if opcode == _DOUBLE:
            return struct.unpack("<d", self.take(8))[0]
        assert opcode == _STRING, f"unknown opcode {opcode}"
        return self.string()

    def string(self) -> bytes:
        first = self._data[self._position]
        if first >> 6 != 3:
            return self.take(self.length())
        self.take(1)
        if first == 0xC3:
            compressed, plain = self.length(), self.length()
            return decompress(self.take(compressed), plain)
        size = {0xC0: 1, 0xC1: 2, 0xC2: 4}[first]
        return b"%d" % int.from_bytes(self.take(size), "little", signed=True)


def decompress(data: bytes, plain_length: int) -> bytes:
    """LZF decompression, which the server applies to long strings."""
    out = bytearray()
    position = 0
    while position < len(data):
        control = data[position]
        position += 1
        if control < 32:
            out += data[position : position + control + 1]
            position += control + 1
            continue
        length = control >> 5
        if length == 7:
            length += data[position]
            position += 1
        start = len(out) - ((control & 31) << 8 | data[position]) - 1
        position += 1
        for i in range(length + 2):
            out.append(out[start + i])
    assert len(out) == plain_length
    return bytes(out)


def _crc_table() -> list[int]:
    table = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = crc >> 1 ^ (_CRC_POLYNOMIAL if crc & 1 else 0)
        table.append(crc)
    return table


_TABLE = _crc_table()


def _crc64(data: bytes) -> int:
    crc = 0
    for byte in data:
        crc = _TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc
