"""The serving systems that the benchmark suite measures beside the module."""

import ctypes
import shutil
from dataclasses import dataclass
from pathlib import Path

from errors import BootstrapError
from system import apt_install
from venvs import DistributionTorch, Venv
from wheels import Package

STUB = "triton_python_backend_stub"


class Java:
    """The Java that the PATH names first, else the distribution's."""

    @property
    def path(self) -> Path:
        found = shutil.which("java")
        if not found:
            raise BootstrapError("java is not installed")
        return Path(found)

    def ensure(self) -> None:
        if not shutil.which("java"):
            apt_install("openjdk-17-jre-headless")


@dataclass(frozen=True)
class TorchServe:
    """An environment with TorchServe, on top of the distribution's Python for its PyTorch, and a Java."""

    venv: Venv

    @property
    def path(self) -> Path:
        return self.venv.path

    def ensure(self) -> None:
        Java().ensure()
        DistributionTorch().ensure()
        self.venv.ensure()


class TritonServer(Package):
    """The server that a wheel carries, with its Python backend and the libraries beside it."""

    @property
    def home(self) -> Path:
        """The folder with bin/tritonserver and backends."""
        return self.path / "pytriton" / "tritonserver"

    def fetch(self, folder: Path) -> None:
        super().fetch(folder)
        home = folder / self.home.relative_to(self.path)
        # The backend looks for its program beside itself; the wheel has one per version of Python.
        stub = home / "backends" / "python" / STUB
        (home / "python_backend_stubs" / "3.11" / STUB).rename(stub)
        for program in (home / "bin" / "tritonserver", stub):
            program.chmod(0o755)


@dataclass(frozen=True)
class Triton:
    """The server and an environment with what the models of its Python backend import."""

    server: TritonServer
    venv: Venv

    @property
    def path(self) -> Path:
        return self.server.home

    def ensure(self) -> None:
        ensure_libpython()
        self.server.ensure()
        self.venv.ensure()


def ensure_libpython() -> None:
    """The interpreter as a library, which the processes of Triton's Python backend are linked with."""
    try:
        ctypes.CDLL("libpython3.11.so.1.0")
    except OSError:
        apt_install("libpython3.11")
