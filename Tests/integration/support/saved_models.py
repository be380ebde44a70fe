"""SavedModels as archives, good ones and hostile ones. Every function returns the bytes of an archive."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from pathlib import Path

from support.workshop import made_with_tensorflow

FORMATS = ("tar", "tar.gz", "zip", "zip-stored")


def two() -> dict[str, bytes]:
    """`sum` and `difference` of `b` and `a`, FLOAT [any, 3], both times a variable that is 2: the signature
    `serving_default`. The signature `negate` goes from `x` to `negative`."""
    return _files("two")


def without_serving() -> dict[str, bytes]:
    """The same with the signatures `first` and `second`."""
    return _files("without_serving")


def vocabulary() -> dict[str, bytes]:
    """`words`, STRING [any], to `lines`, INT64 [any]: 0 for `zero`, 1 for `one`, 2 for `two`, else -1. The words stand
    in a file of the SavedModel."""
    return _files("vocabulary")


def writer() -> dict[str, bytes]:
    """Writes a file whose name is the input `path`."""
    return _files("writer")


def loop() -> dict[str, bytes]:
    """`rounds`, FLOAT [1], to `output`, after as many rounds of a loop."""
    return _files("loop")


def pack(files: dict[str, bytes], form: str = "tar", top: str = "") -> bytes:
    """The files in an archive, in the folder `top`."""
    entries = {top + name: content for name, content in files.items()}
    if form.startswith("zip"):
        return _zip(entries, zipfile.ZIP_STORED if form == "zip-stored" else zipfile.ZIP_DEFLATED)
    plain = tar(*((tarfile.TarInfo(name), content) for name, content in entries.items()))
    return gzip.compress(plain, mtime=0) if form == "tar.gz" else plain


def tar(*entries: tuple[tarfile.TarInfo, bytes]) -> bytes:
    """A tar of any entries at all."""
    memory = io.BytesIO()
    with tarfile.open(fileobj=memory, mode="w") as archive:
        for entry, content in entries:
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return memory.getvalue()


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tuple[tarfile.TarInfo, bytes]:
    """An entry that is a link, or something else that is no file."""
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = kind, target
    return entry, b""


def _zip(entries: dict[str, bytes], compression: int) -> bytes:
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w", compression) as archive:
        for name, content in entries.items():
            archive.writestr(zipfile.ZipInfo(name), content, compression)
    return memory.getvalue()


def _files(name: str) -> dict[str, bytes]:
    folder = made_with_tensorflow("saved_models.py") / name
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}
