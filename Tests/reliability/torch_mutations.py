"""Damages TorchScript modules: the zip archive, the pickled objects, the code and the tensors in it."""

from __future__ import annotations

import io
import pickletools
import struct
import zipfile
from collections.abc import Callable
from random import Random

from reliability.model_mutations import NUMBERS, damage_bytes
from reliability.script_mutations import damage_source

Records = dict[str, bytes]
_GLOBALS = (b"os\nsystem\n", b"builtins\neval\n", b"torch._utils\n_rebuild_tensor_v2\n", b"torch\nFloatStorage\n",
            b"__torch__\nNothing\n", b"collections\nOrderedDict\n", b"torch\n_utils\n", b"\n\n")  # fmt: skip
_VERSIONS = (b"999\n", b"-1\n", b"0\n", b"", b"1\n", b"99999999999999999999\n", b"x\n")
# In the directory at the end of a zip archive: sizes and the place of an entry; in its last record: counts and places.
_DIRECTORY_MARK, _END_MARK, _LOCAL_MARK = b"PK\x01\x02", b"PK\x05\x06", b"PK\x03\x04"


def damage_module(blob: bytes, random: Random) -> bytes:
    """A damaged copy of a TorchScript archive."""
    choice = random.random()
    if choice < 0.08:
        return damage_bytes(blob, random)
    if choice < 0.2:
        return damage_headers(blob, random)
    records = read_records(blob)
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        random.choice(_DAMAGES)(records, random)
    return write_records(records, random.choice((zipfile.ZIP_STORED,) * 9 + (zipfile.ZIP_DEFLATED,)))


def read_records(blob: bytes) -> Records:
    with zipfile.ZipFile(io.BytesIO(blob)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write_records(records: Records, compression: int = zipfile.ZIP_STORED) -> bytes:
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w", compression) as archive:
        for name, content in records.items():
            archive.writestr(name, content)
    return memory.getvalue()


def with_version(blob: bytes, version: bytes) -> bytes:
    """The same module said to be of another version of the format."""
    records = read_records(blob)
    for name in records:
        if name.endswith(("/version", "/.data/version")):
            records[name] = version
    return write_records(records)


def with_records_of_2_gb(blob: bytes) -> bytes:
    """The same archive whose entries are all said to hold two thousand million bytes."""
    damaged = bytearray(blob)
    for mark, field in ((_DIRECTORY_MARK, 20), (_LOCAL_MARK, 18)):
        position = damaged.find(mark)
        while position >= 0:
            struct.pack_into("<II", damaged, position + field, 2**31 - 1, 2**31 - 1)
            position = damaged.find(mark, position + 4)
    return bytes(damaged)


def damage_headers(blob: bytes, random: Random) -> bytes:
    """Numbers in the archive's own structure."""
    damaged = bytearray(blob)
    mark, fields = random.choice(
        (
            (_DIRECTORY_MARK, ((8, 2), (10, 2), (20, 4), (24, 4), (28, 2), (30, 2), (32, 2), (42, 4))),
            (_LOCAL_MARK, ((6, 2), (8, 2), (18, 4), (22, 4), (26, 2), (28, 2))),
            (_END_MARK, ((8, 2), (10, 2), (12, 4), (16, 4), (20, 2))),
        )
    )
    places = [index for index in range(len(damaged) - 46) if damaged.startswith(mark, index)]
    if mark == _END_MARK:
        places = [damaged.rfind(mark)]
    place = random.choice(places)
    offset, size = random.choice(fields)
    value = random.choice((0, 1, 0x7FFFFFFF, 0xFFFFFFFF, 0xFFFF, 64, random.getrandbits(32), len(blob), 8, 9, 12, 99))
    damaged[place + offset : place + offset + size] = (value & ((1 << 8 * size) - 1)).to_bytes(size, "little")
    return bytes(damaged)


def _pick(records: Records, random: Random, *endings: str) -> str | None:
    names = sorted(name for name in records if name.endswith(endings) and records[name])
    return random.choice(names) if names else None


def _change_code(records: Records, random: Random) -> None:
    name = _pick(records, random, ".py")
    if name is not None:
        records[name] = damage_source(records[name], random)


def _change_pickle(records: Records, random: Random) -> None:
    """Numbers, names and operations of the program that makes the objects."""
    name = _pick(records, random, ".pkl")
    if name is not None:
        records[name] = damage_pickle(records[name], random)


def damage_pickle(data: bytes, random: Random) -> bytes:
    operations = _operations(data)
    if len(operations) < 2:
        return damage_bytes(data, random)
    index = random.randrange(len(operations))
    kind = random.randrange(6)
    if kind == 0:
        del operations[index]
    elif kind == 1:
        operations[index:index] = [operations[index]] * random.choice((1, 3, 1000))
    elif kind == 2:
        operations[index] = random.choice(operations)
    elif kind == 3:
        _replace(operations, random, b"KMJ", lambda: b"J" + struct.pack("<i", random.choice(NUMBERS) % 2**32 - 2**31))
    elif kind == 4:
        _replace(operations, random, b"KMJ", lambda: b"\x8a\x08" + struct.pack("<q", random.choice(NUMBERS)))
    else:
        _replace(operations, random, b"c", lambda: b"c" + random.choice(_GLOBALS))
    return b"".join(operations)


def _operations(data: bytes) -> list[bytes]:
    """The program in pieces, one per operation; none where it cannot be read."""
    try:
        starts = [position for _, _, position in pickletools.genops(data) if position is not None]
    except (ValueError, IndexError):
        return []
    return [data[start:end] for start, end in zip(starts, [*starts[1:], len(data)])]


def _replace(operations: list[bytes], random: Random, codes: bytes, make: Callable[[], bytes]) -> None:
    """Another operation in the place of one with such a code."""
    places = [index for index, operation in enumerate(operations) if operation[:1] in [bytes([c]) for c in codes]]
    if places:
        operations[random.choice(places)] = make()


def _change_record(records: Records, random: Random) -> None:
    name = random.choice(sorted(records))
    records[name] = damage_bytes(records[name], random) if records[name] else b"\xff" * 64


def _change_tensor(records: Records, random: Random) -> None:
    """The bytes of a tensor: too few, too many, none."""
    names = sorted(name for name in records if "/data/" in name or "/constants/" in name)
    if names:
        name = random.choice(names)
        content = records[name]
        records[name] = random.choice((b"", content[: len(content) // 2], content * 3, b"\xff" * len(content)))


def _rename(records: Records, random: Random) -> None:
    """An entry under another name, gone, or in the place of another."""
    name = random.choice(sorted(records))
    content = records.pop(name)
    kind = random.randrange(4)
    if kind == 0:
        records[random.choice(("../../etc/passwd", "/x", " ", "a" * 60_000, name + "/x", name.upper()))] = content
    elif kind == 1 and records:
        records[random.choice(sorted(records))] = content
    elif kind == 2:
        records = {f"other/{name}": content, **records}


def _change_version(records: Records, random: Random) -> None:
    name = _pick(records, random, "version", "byteorder")
    if name is not None:
        records[name] = random.choice((*_VERSIONS, b"big", b"little"))


_DAMAGES: list[Callable[[Records, Random], None]] = [
    *[_change_code] * 10,
    *[_change_pickle] * 8,
    *[_change_tensor] * 2,
    *[_change_record] * 2,
    *[_rename] * 2,
    _change_version,
]
