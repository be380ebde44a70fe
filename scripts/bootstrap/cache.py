"""The user's cache folder: one entry per downloaded thing, kept across clones.

An entry's name holds its version and hash, so entries never change and never conflict. An entry is built in a folder
beside its final place and renamed when complete: whoever sees an entry sees all of it, however the builder ended.
"""

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from errors import BootstrapError
from report import say

MANIFEST = "manifest.json"


def root() -> Path:
    """The cache folder. Its path ends up in space-separated lists and makefiles, so it may hold no white space."""
    default = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "redisai-swift"
    folder = Path(os.environ.get("REDISAI_CACHE") or default).absolute()
    if any(character.isspace() for character in str(folder)):
        raise BootstrapError(f"the cache folder's path holds white space: {folder} (set REDISAI_CACHE to another)")
    return folder


@contextmanager
def locked(key: str) -> Iterator[None]:
    """Hold the entry's lock, which the kernel releases if this process dies: two clones at once build it once."""
    root().mkdir(parents=True, exist_ok=True)
    with open(root() / f"{key}.lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another process that is fetching {key}")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def ensure_entry(key: str, build: Callable[[Path], None]) -> Path:
    """The entry's folder, after `build` has filled it if it is absent or no longer what was put there."""
    entry = root() / key
    with locked(key):
        if not is_intact(entry):
            partial = root() / f"{key}.partial"
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir()
            build(partial)
            (partial / MANIFEST).write_text(json.dumps(digests(partial), indent=1))
            shutil.rmtree(entry, ignore_errors=True)
            partial.rename(entry)
    return entry


def is_intact(entry: Path) -> bool:
    """Whether the entry holds exactly the files, byte for byte, that its builder left."""
    try:
        expected = json.loads((entry / MANIFEST).read_text())
    except (OSError, ValueError):
        return False
    return digests(entry) == expected


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of each file of a folder, its manifest excepted. The work is shared out, since engines are large."""
    paths = [path for path in files_below(folder) if path != folder / MANIFEST]
    with ThreadPoolExecutor() as pool:
        return dict(zip((str(path.relative_to(folder)) for path in paths), pool.map(sha256, paths)))


def files_below(folder: Path) -> list[Path]:
    """All files of a folder and its subfolders, in a fixed order."""
    return sorted(path for path in folder.rglob("*") if not path.is_dir())


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
