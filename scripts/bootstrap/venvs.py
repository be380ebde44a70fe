"""Python environments in the cache, each named after the lock file that it was made from."""

import csv
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import cache
from report import say
from system import apt_install, run

REQUIREMENTS = Path(__file__).resolve().parent.parent / "requirements"
COMPLETE = "complete"
DISTRIBUTION_PYTHON = Path("/usr/bin/python3")


@dataclass(frozen=True)
class Venv:
    """The environment that holds exactly what a lock file lists; without one, nothing but pip."""

    name: str
    lock: str | None = None
    # Where it stands on top of the distribution's Python, it sees the distribution's packages.
    of_distribution: bool = False

    @property
    def key(self) -> str:
        version = "distribution" if self.of_distribution else f"py{platform.python_version()}"
        return "-".join(["venv", self.name, version, *([cache.sha256(self.lock_file)[:12]] if self.lock else [])])

    @property
    def base(self) -> Path:
        return DISTRIBUTION_PYTHON if self.of_distribution else Path(sys.executable)

    @property
    def lock_file(self) -> Path:
        return REQUIREMENTS / str(self.lock)

    @property
    def folder(self) -> Path:
        return cache.root() / self.key

    @property
    def path(self) -> Path:
        """Its interpreter."""
        return self.folder / "bin" / "python"

    def ensure(self) -> None:
        """Make the environment unless it is there in full. It is made in place, since its scripts hold its path, and
        marked when complete."""
        with cache.locked(self.key):
            if not self.is_intact():
                shutil.rmtree(self.folder, ignore_errors=True)
                self.create()
                (self.folder / COMPLETE).touch()

    def is_intact(self) -> bool:
        return (self.folder / COMPLETE).exists() and runs(self.path) and not missing_files(self.folder)

    def create(self) -> None:
        say(f"making the Python environment for {self.name}")
        if not runs(self.base, "import ensurepip"):
            apt_install("python3-venv")
        options = ["--system-site-packages"] if self.of_distribution else []
        run([self.base, "-m", "venv", *options, self.folder], "could not make a Python environment")
        if self.lock:
            options = ["--no-deps", "--no-compile", "--require-hashes", "--only-binary=:all:", "--progress-bar=on"]
            pip = [self.path, "-m", "pip", "--disable-pip-version-check"]
            run([*pip, "install", *options, f"--requirement={self.lock_file}"], f"cannot install {self.lock}")


class DistributionTorch:
    """The distribution's Python with its PyTorch. That of PyPI is not importable without gigabytes of CUDA packages;
    what this one saves, later versions read."""

    path = DISTRIBUTION_PYTHON

    def ensure(self) -> None:
        if not runs(self.path, "import packaging, torch"):
            apt_install("python3-torch", "python3-packaging")


def runs(python: Path, program: str = "") -> bool:
    """Whether the interpreter starts and runs the program: the Python that an environment was made from may be gone."""
    try:
        return subprocess.run([python, "-c", program], stderr=subprocess.DEVNULL).returncode == 0
    except OSError:
        return False


def missing_files(folder: Path) -> bool:
    """Whether a file that an installed package lists with its size is gone or of another size."""
    for record in folder.glob("lib/python*/site-packages/*.dist-info/RECORD"):
        packages = record.parent.parent
        with record.open(newline="") as rows:
            for name, _, size in csv.reader(rows):
                if size and not has_size(packages / name, int(size)):
                    return True
    return False


def has_size(path: Path, size: int) -> bool:
    try:
        return path.stat().st_size == size
    except OSError:
        return False


def pip_python() -> Path:
    """An interpreter that has pip, which the system's own may lack."""
    tool = Venv("pip")
    tool.ensure()
    return tool.path
