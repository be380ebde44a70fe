"""Lays out the folder that the module opens its engines from.

    DIST/backends/redisai_onnxruntime/libonnxruntime.so.X.Y.Z
    DIST/backends/redisai_onnxruntime/redisai_onnxruntime.so -> libonnxruntime.so.X.Y.Z
    DIST/backends/redisai_onnxruntime/licences/...

Files are replaced by unlinking the old ones, since a running server may have them mapped, and are hard links into the
cache where the file system allows: an engine takes up to 0.9 GB. Engines that are there already stay.
"""

import hashlib
import os
import shutil
from pathlib import Path

from cache import MANIFEST, files_below
from engines import HEADERS, Engine
from report import say
from system import run


def stage(engine: Engine, dist: Path, scratch: Path) -> None:
    """Put a fetched engine where the module finds it, after compiling what belongs to it."""
    backend = dist / "backends" / engine.backend
    for path in files_below(engine.path):
        relative = path.relative_to(engine.path)
        if relative.parts[0] not in (MANIFEST, HEADERS):
            place(path, backend / relative)
    if engine.build:
        place(compiled(engine, scratch), backend / engine.library)
    opened = dist / "backends" / engine.opened
    if opened.name != engine.library:
        point(opened, engine.library)
    say(f"{opened}: {engine.wheels[0].package} {engine.wheels[0].version}")


def compiled(engine: Engine, scratch: Path) -> Path:
    """The library that the engine's script makes; made anew only if the engine or a source has changed."""
    folder = scratch / "engines" / engine.name
    output = folder / build_digest(engine) / engine.library
    if not output.exists():
        shutil.rmtree(folder, ignore_errors=True)
        output.parent.mkdir(parents=True)
        partial = output.with_suffix(".partial")
        say(f"compiling {engine.library}, which takes a minute")
        script = engine.home / engine.build.script
        run([script, engine.path, partial.absolute()], f"{script} failed")
        partial.rename(output)
    return output


def build_digest(engine: Engine) -> str:
    """Changes with whatever the compiled library is made of."""
    digest = hashlib.sha256(engine.key.encode())
    for source in engine.build.sources:
        for path in files_below(engine.home / source):
            digest.update(f"{path.relative_to(engine.home)} {path.stat().st_size}\n".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def place(source: Path, target: Path) -> None:
    """Make `target` the same file as `source`, or a copy of it on another file system."""
    if is_placed(source, target):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = target.with_name(f".{target.name}.new")
    fresh.unlink(missing_ok=True)
    try:
        os.link(source, fresh)
    except OSError:
        shutil.copy2(source, fresh)
    fresh.replace(target)


def is_placed(source: Path, target: Path) -> bool:
    """Whether the target is that file, or looks like a copy made by `place`."""
    if target.is_symlink() or not target.exists():
        return False
    if target.samefile(source):
        return True
    mine, theirs = source.stat(), target.stat()
    return (mine.st_size, mine.st_mtime_ns) == (theirs.st_size, theirs.st_mtime_ns)


def point(link: Path, name: str) -> None:
    """Make `link` a symbolic link to its neighbour `name`."""
    fresh = link.with_name(f".{link.name}.new")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(name)
    fresh.replace(link)
