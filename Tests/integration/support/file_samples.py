"""Files of many kinds, made from nothing or collected from the machine, for the file-classification test.

Everything is real: archives hold files, images have pixels, the database has rows. Nothing is downloaded.
"""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
import pickle
import py_compile
import random
import shutil
import sqlite3
import ssl
import struct
import sys
import sysconfig
import tarfile
import wave
import zipfile
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from support.text_samples import TEXTS

REPOSITORY = Path(__file__).resolve().parents[3]
STANDARD_LIBRARY = Path(sysconfig.get_path("stdlib"))
STANDARD_LIBRARY_FILES = (
    "abc.py",
    "argparse.py",
    "base64.py",
    "calendar.py",
    "csv.py",
    "difflib.py",
    "json/decoder.py",
    "logging/config.py",
    "queue.py",
    "sched.py",
    "textwrap.py",
    "urllib/parse.py",
)
SYSTEM_FILES = (
    "/bin/ls",
    "/bin/sh",
    "/etc/bash.bashrc",
    "/etc/os-release",
    "/etc/services",
    "/usr/include/stdio.h",
    "/usr/include/stdlib.h",
    "/usr/include/zlib.h",
    "/usr/share/common-licenses/GPL-3",
)
REPOSITORY_PATTERNS = (
    "*.md",
    "Makefile",
    "Package.swift",
    ".gitignore",
    "docs/*.md",
    "Sources/**/*.h",
    "Sources/**/*.swift",
)
PER_PATTERN = 4
SEED = 20240603


def make_samples(folder: Path) -> list[Path]:
    """Writes the generated files below the folder; returns them together with the machine's own files."""
    folder.mkdir(parents=True, exist_ok=True)
    written = [write(folder / name, text.encode()) for name, text in TEXTS.items()]
    written += [write(folder / name, make()) for name, make in BINARY.items()]
    written += [write(folder / f"edge-{name}", content) for name, content in edge_cases()]
    written += [sqlite_file(folder / "shop.sqlite"), bytecode_file(folder / "argparse.pyc")]
    return written + collected()


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def collected() -> list[Path]:
    """Real files that are there on this machine; what is missing is left out."""
    candidates = [STANDARD_LIBRARY / name for name in STANDARD_LIBRARY_FILES]
    candidates += [Path(name) for name in SYSTEM_FILES]
    candidates += [Path(sys.executable).resolve(), Path(ssl.get_default_verify_paths().cafile or "/nonexistent")]
    for pattern in REPOSITORY_PATTERNS:
        candidates += sorted(REPOSITORY.glob(pattern))[:PER_PATTERN]
    return [path for path in candidates if path.is_file() and path.stat().st_size >= 64]


def edge_cases() -> Iterable[tuple[str, bytes]]:
    """Lengths around the windows and blocks that the features are cut from, with white space at both ends."""
    source = TEXTS["shapes.cpp"].encode() * 20
    for size in (64, 1023, 1024, 1025, 2048, 4095, 4096, 4097, 8193):
        yield f"{size}.cpp", source[:size]
        yield f"{size}-padded.cpp", b" \t\r\n\v\f" * 40 + source[:size] + b"\n \n" * 60


def zip_of(files: dict[str, bytes]) -> bytes:
    """A ZIP archive; a file named mimetype is stored uncompressed, as EPUB and OpenDocument want it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            method = zipfile.ZIP_STORED if name == "mimetype" else zipfile.ZIP_DEFLATED
            archive.writestr(zipfile.ZipInfo(name), content, compress_type=method)
    return buffer.getvalue()


def text_archive() -> bytes:
    return zip_of({name: text.encode() for name, text in TEXTS.items()})


def jar_archive() -> bytes:
    manifest = b"Manifest-Version: 1.0\r\nMain-Class: com.example.store.Inventory\r\n\r\n"
    java_class = b"\xca\xfe\xba\xbe\0\0\0\x3d" + random.Random(SEED).randbytes(400)
    return zip_of({"META-INF/": b"", "META-INF/MANIFEST.MF": manifest, "com/example/store/Inventory.class": java_class})


def epub_book() -> bytes:
    container = (
        b'<?xml version="1.0"?><container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container">'
        b'<rootfiles><rootfile full-path="OEBPS/content.opf" media-type="application/oebps-package+xml"/>'
        b"</rootfiles></container>"
    )
    chapter = TEXTS["page.html"].encode()
    return zip_of(
        {
            "mimetype": b"application/epub+zip",
            "META-INF/container.xml": container,
            "OEBPS/content.opf": b'<?xml version="1.0"?><package version="3.0"></package>',
            "OEBPS/chapter1.xhtml": chapter,
            "OEBPS/chapter2.xhtml": chapter,
        }
    )


def tar_archive() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, text in TEXTS.items():
            entry = tarfile.TarInfo(f"samples/{name}")
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
    return buffer.getvalue()


def all_text() -> bytes:
    return "".join(TEXTS.values()).encode()


def wav_sound() -> bytes:
    """One second of a falling tone."""
    time = np.arange(8000) / 8000
    samples = (np.sin(2 * np.pi * (600 - 200 * time) * time) * 20000).astype("<i2")
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(samples.tobytes())
    return buffer.getvalue()


def midi_song() -> bytes:
    """A scale on one track."""
    notes = b"".join(bytes((0, 0x90, 60 + n, 64, 0x60, 0x80, 60 + n, 64)) for n in (0, 2, 4, 5, 7, 9, 11, 12) * 8)
    track = b"\0\xff\x51\x03\x07\xa1\x20" + notes + b"\0\xff\x2f\0"
    return b"MThd" + struct.pack(">IHHH", 6, 0, 1, 96) + b"MTrk" + struct.pack(">I", len(track)) + track


def gradient(width: int, height: int) -> np.ndarray:
    """RGB pixels to put into the image formats."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack((x * 255 // width, y * 255 // height, (x + y) % 256), axis=-1).astype(np.uint8)


def png_image() -> bytes:
    pixels = gradient(96, 64)
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 96, 64, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def bmp_image() -> bytes:
    data = gradient(96, 64)[::-1, :, ::-1].tobytes()
    information = struct.pack("<IiiHHIIiiII", 40, 96, 64, 1, 24, 0, len(data), 2835, 2835, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54 + len(data), 0, 0, 54) + information + data


def ico_image() -> bytes:
    """An icon whose only image is the PNG."""
    image = png_image()
    return struct.pack("<HHH", 0, 1, 1) + struct.pack("<BBBBHHII", 96, 64, 0, 0, 1, 32, len(image), 22) + image


def gif_image() -> bytes:
    """An uncompressed GIF: every pixel is a nine-bit code, with a clear code often enough that the width stays nine."""
    width, height = 64, 48
    palette = bytes(value for index in range(256) for value in (index, 255 - index, 128))
    codes: list[int] = []
    for index, pixel in enumerate((x * y) % 256 for y in range(height) for x in range(width)):
        codes += [256, pixel] if index % 200 == 0 else [pixel]
    bits = sum(code << (9 * index) for index, code in enumerate([*codes, 257]))
    data = bits.to_bytes((9 * (len(codes) + 1) + 7) // 8, "little")
    blocks = b"".join(bytes((len(data[i : i + 255]),)) + data[i : i + 255] for i in range(0, len(data), 255))
    screen = struct.pack("<HHBBB", width, height, 0xF7, 0, 0) + palette
    image = b"," + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\x08" + blocks + b"\0"
    return b"GIF89a" + screen + image + b";"


def pdf_document() -> bytes:
    """One page with one line of text and a correct cross-reference table."""
    stream = b"BT /F1 24 Tf 72 720 Td (Hello from a small document) Tj ET"
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources 6 0 R >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        b"<< /Font << /F1 5 0 R >> >>",
    ]
    document, offsets = b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n", []
    for number, content in enumerate(objects, 1):
        offsets.append(len(document))
        document += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    trailer = b"trailer\n<< /Size 7 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % len(document)
    return document + b"xref\n0 7\n0000000000 65535 f \n" + table + trailer


def csv_table(delimiter: str) -> Callable[[], bytes]:
    def make() -> bytes:
        buffer, dice = io.StringIO(), random.Random(SEED)
        writer = csv.writer(buffer, delimiter=delimiter)
        writer.writerow(["id", "name", "price", "in stock", "note"])
        for number in range(60):
            name = dice.choice(("lamp", "chair", "table", "vase"))
            price = f"{dice.uniform(1, 90):.2f}"
            writer.writerow([number, name, price, dice.choice(("yes", "no")), "with, comma" if number % 9 == 0 else ""])
        return buffer.getvalue().encode()

    return make


def json_rows() -> list[dict[str, object]]:
    return [{"id": number, "name": f"item {number}", "tags": ["a", "b"], "price": number * 1.5} for number in range(40)]


def json_lines() -> bytes:
    return "\n".join(json.dumps(row) for row in json_rows()).encode()


def notebook() -> bytes:
    source = ["import numpy as np\n", "values = np.arange(10)\n", "values.mean()"]
    cell = {"cell_type": "code", "execution_count": 1, "metadata": {}, "outputs": [], "source": source}
    title = {"cell_type": "markdown", "metadata": {}, "source": ["# Means"]}
    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    return json.dumps(
        {"cells": [title, cell], "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}, indent=1
    ).encode()


def npy_array() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, gradient(64, 64).astype(np.float32))
    return buffer.getvalue()


def npz_arrays() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, weights=np.linspace(0, 1, 2000), bias=np.arange(30))
    return buffer.getvalue()


def pcap_capture() -> bytes:
    """Twenty captured Ethernet frames."""
    dice, frames = random.Random(SEED), b""
    for second in range(20):
        frame = dice.randbytes(12) + b"\x08\x00\x45\x00" + dice.randbytes(80)
        frames += struct.pack("<IIII", 1717400000 + second, 0, len(frame), len(frame)) + frame
    return struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1) + frames


def stl_model() -> bytes:
    """A binary STL mesh of a fan of triangles."""
    triangles = b"".join(
        struct.pack(
            "<12fH", 0, 0, 1, 0, 0, 0, np.cos(k / 9), np.sin(k / 9), 0, np.cos((k + 1) / 9), np.sin((k + 1) / 9), 0, 0
        )
        for k in range(56)
    )
    return b"binary mesh".ljust(80, b"\0") + struct.pack("<I", 56) + triangles


def torrent_file() -> bytes:
    pieces = random.Random(SEED).randbytes(20 * 30)
    information = b"d6:lengthi983040e4:name8:data.bin12:piece lengthi32768e6:pieces%d:%se" % (len(pieces), pieces)
    return b"d8:announce35:http://tracker.example.org/announce4:info" + information + b"e"


BINARY: dict[str, Callable[[], bytes]] = {
    "texts.zip": text_archive,
    "inventory.jar": jar_archive,
    "book.epub": epub_book,
    "texts.tar": tar_archive,
    "texts.gz": lambda: gzip.compress(all_text(), mtime=0),
    "texts.bz2": lambda: bz2.compress(all_text()),
    "texts.xz": lambda: lzma.compress(all_text()),
    "texts.zlib": lambda: zlib.compress(all_text()),
    "tone.wav": wav_sound,
    "scale.mid": midi_song,
    "gradient.png": png_image,
    "gradient.bmp": bmp_image,
    "gradient.ico": ico_image,
    "gradient.gif": gif_image,
    "hello.pdf": pdf_document,
    "goods.csv": csv_table(","),
    "goods.tsv": csv_table("\t"),
    "items.json": lambda: json.dumps(json_rows(), indent=2).encode(),
    "items.jsonl": json_lines,
    "means.ipynb": notebook,
    "items.pickle": lambda: pickle.dumps(json_rows(), protocol=4),
    "gradient.npy": npy_array,
    "weights.npz": npz_arrays,
    "traffic.pcap": pcap_capture,
    "fan.stl": stl_model,
    "data.torrent": torrent_file,
    "random.bin": lambda: random.Random(SEED).randbytes(5000),
}


def sqlite_file(path: Path) -> Path:
    """A database with a table, an index and rows."""
    path.unlink(missing_ok=True)
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT, price REAL)")
    database.execute("CREATE INDEX by_name ON items (name)")
    database.executemany("INSERT INTO items VALUES (?, ?, ?)", [(n, f"item {n}", n * 1.5) for n in range(200)])
    database.commit()
    database.close()
    return path


def bytecode_file(path: Path) -> Path:
    """Python byte code, compiled from a copy so that the standard library's own cache is left alone."""
    source = path.with_suffix(".py")
    shutil.copyfile(STANDARD_LIBRARY / "argparse.py", source)
    py_compile.compile(str(source), cfile=str(path), doraise=True)
    return path
