"""Runs the programs of Tests/integration/makers, which make models as users do or ask the original packages.

They run in the Pythons that hold those packages, never in that of the tests. Each run gets an empty folder, writes its
results there, and is done once per session: the processes of a session share one folder, and wait for each other.
"""

from __future__ import annotations

import atexit
import fcntl
import functools
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

MAKERS = Path(__file__).resolve().parent.parent / "makers"
LIMIT_SECONDS = 300


_shared: list[Path] = []


def share(folder: Path) -> None:
    """Use the folder of the process that started this one."""
    _shared.append(folder)


@functools.cache
def workshop() -> Path:
    """The folder of this session."""
    if _shared:
        return _shared[0]
    folder = Path(tempfile.mkdtemp(prefix="redisai-models-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def from_environment(variable: str) -> str:
    value = os.environ.get(variable)
    assert value, f"{variable} is not set; 'make test' sets it"
    return value


@functools.cache
def made_with_tensorflow(program: str, *arguments: str | Path) -> Path:
    """The results of a program that runs beside TensorFlow, LiteRT and basic-pitch."""
    environment = {
        "TF_CPP_MIN_LOG_LEVEL": "3",
        # basic-pitch's SavedModel is one of Keras 2.
        "TF_USE_LEGACY_KERAS": "1",
        "CUDA_VISIBLE_DEVICES": "",
        "PYTHONPATH": from_environment("REDISAI_BASIC_PITCH"),
    }
    return make(from_environment("REDISAI_REFERENCE_PYTHON"), program, arguments, environment)


@functools.cache
def made_with_torch(program: str, *arguments: str | Path) -> Path:
    """The results of a program that runs beside PyTorch and silero-vad."""
    folders = (from_environment("REDISAI_SILERO_VAD"), from_environment("REDISAI_TORCH_PYTHON_ONNXRUNTIME"))
    return make(
        from_environment("REDISAI_TORCH_PYTHON"), program, arguments, {"PYTHONPATH": os.pathsep.join(folders)}
    )


def make(python: str, program: str, arguments: tuple[str | Path, ...], environment: dict[str, str]) -> Path:
    of_arguments = hashlib.sha256(os.pathsep.join(map(str, arguments)).encode()).hexdigest()[:8]
    finished = workshop() / f"{program.removesuffix('.py')}-{of_arguments}"
    with locked(finished):
        if not finished.exists():
            folder = Path(tempfile.mkdtemp(prefix=finished.name, dir=workshop()))
            run([python, MAKERS / program, folder, *arguments], environment)
            folder.rename(finished)
    return finished


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keeps the session's other processes out of such a block for the same path."""
    with path.with_name(f"{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def run(command: list[str | Path], environment: dict[str, str]) -> None:
    # What packages leave in the folder for temporary files goes as well: some tests look into theirs.
    with tempfile.TemporaryDirectory(prefix="temporary-", dir=workshop()) as temporary:
        result = subprocess.run(
            # Servers of other tests, which the clients of those wait for, come first.
            ["nice", *command],
            env=os.environ | environment | {"TMPDIR": temporary},
            capture_output=True,
            text=True,
            timeout=LIMIT_SECONDS,
        )
    assert result.returncode == 0, f"{Path(command[1]).name} failed\n{result.stdout}\n{result.stderr}"


def handed_over(name: str, **arrays: np.ndarray) -> Path:
    """A file with arrays for a program, which reads it with `numpy.load`; one name always stands for the same arrays."""
    path = workshop() / f"{name}.npz"
    with locked(path):
        if not path.exists():
            partial = workshop() / f"{name}.partial.npz"
            np.savez(partial, **arrays)
            partial.rename(path)
    return path
