"""The serving systems that the benchmark suite measures beside the module."""

import ctypes
import shutil
from dataclasses import dataclass
from pathlib import Path

from errors import BootstrapError
from system import apt_install
from venvs import DistributionTorch, Venv
from wheels import Package


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


@dataclass(frozen=True)
class Triton:
    """The server that a wheel carries, with the libraries beside it, and an environment for its Python backend."""

    wheel: Package
    venv: Venv

    @property
    def path(self) -> Path:
        """The folder with bin/tritonserver and backends."""
        return self.wheel.path / "pytriton" / "tritonserver"

    def ensure(self) -> None:
        ensure_libpython()
        self.wheel.ensure()
        self.venv.ensure()
        for program in (self.path / "bin" / "tritonserver", *self.path.glob("python_backend_stubs/*/*_stub")):
            program.chmod(0o755)


def ensure_libpython() -> None:
    """The interpreter as a library, which the processes of Triton's Python backend are linked with."""
    try:
        ctypes.CDLL("libpython3.11.so.1.0")
    except OSError:
        apt_install("libpython3.11")
