"""The inference engines, each described by an `engine.toml` in its folder of Sources/Backends."""

import hashlib
import json
import tomllib
import zipfile
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import cache
from errors import BootstrapError
from system import require_x86_64_linux
from wheels import Pin, extract, opened_wheel

LICENCES = "licences"
HEADERS = "include"


@dataclass(frozen=True)
class EngineWheel:
    """What to take from one wheel: libraries side by side, licences (patterns), and perhaps a folder of headers."""

    package: str
    version: str
    sha256: str
    libraries: tuple[str, ...]
    licences: tuple[str, ...]
    headers: str | None = None

    @property
    def pin(self) -> Pin:
        return Pin(self.package, self.version, self.sha256)

    def unpack(self, folder: Path) -> None:
        with opened_wheel(self.pin, folder) as wheel:
            for library in self.libraries:
                target = folder / Path(library).name
                extract(wheel, library, target)
                target.chmod(0o755)
            for licence in matching(wheel, self.licences):
                extract(wheel, licence, folder / LICENCES / licence)
            if self.headers:
                for header in matching(wheel, (f"{self.headers}/*",)):
                    extract(wheel, header, folder / HEADERS / Path(header).relative_to(self.headers))


@dataclass(frozen=True)
class Build:
    """A library that is compiled here: `script ENGINE OUTPUT`, and what it is made of besides the engine."""

    script: str
    sources: tuple[str, ...]


@dataclass(frozen=True)
class Engine:
    """An item of the cache with everything that an engine needs at run time and, where we compile, its headers."""

    home: Path
    name: str
    backend: str
    variable: str
    library: str
    wheels: tuple[EngineWheel, ...] = field(repr=False)
    build: Build | None = None

    @property
    def item(self) -> str:
        return f"engine-{self.name}"

    @property
    def opened(self) -> str:
        """The name that the module opens, below dist/backends."""
        return f"{self.backend}/{self.backend}.so"

    @property
    def key(self) -> str:
        """A name that changes with what is taken from the wheels."""
        digest = hashlib.sha256(json.dumps([vars(wheel) for wheel in self.wheels]).encode()).hexdigest()
        return f"{self.item}-{self.wheels[0].version}-{digest[:12]}"

    @property
    def path(self) -> Path:
        """Its folder in the cache."""
        return cache.root() / self.key

    def ensure(self) -> None:
        require_x86_64_linux()
        cache.ensure_entry(self.key, self.fetch)

    def fetch(self, folder: Path) -> None:
        for wheel in self.wheels:
            wheel.unpack(folder)


def matching(wheel: zipfile.ZipFile, patterns: tuple[str, ...]) -> list[str]:
    """The files of the wheel that match; each pattern has to match some."""
    found = []
    for pattern in patterns:
        names = [name for name in wheel.namelist() if fnmatch(name, pattern) and not name.endswith("/")]
        if not names:
            raise BootstrapError(f"{wheel.filename} has no {pattern}")
        found += names
    return found


def read_engines(backends: Path) -> dict[str, Engine]:
    """All engines by the names that `make` knows, those of ENGINES."""
    engines = [read_engine(description) for description in backends.glob("*/engine.toml")]
    return {engine.name: engine for engine in sorted(engines, key=lambda engine: engine.name)}


def read_engine(description: Path) -> Engine:
    try:
        table = tomllib.loads(description.read_text(encoding="utf-8"))
        wheels = tuple(EngineWheel(**lists_as_tuples(wheel)) for wheel in table.pop("wheels"))
        build = table.pop("build", None)
        return Engine(
            home=description.parent, wheels=wheels, build=Build(**lists_as_tuples(build)) if build else None, **table
        )
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise BootstrapError(f"{description}: {error}") from None


def lists_as_tuples(table: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in table.items()}
