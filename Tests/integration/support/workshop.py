"""Runs the programs of Tests/integration/makers, which make models as users do or ask the original packages.

They run in the Pythons that hold those packages, never in that of the tests. Each run gets an empty folder, writes its
results there, and is done once per session.
"""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np

MAKERS = Path(__file__).resolve().parent.parent / "makers"
LIMIT_SECONDS = 300


@functools.cache
def workshop() -> Path:
    """The folder of this session."""
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
    folder = Path(tempfile.mkdtemp(prefix=program.removesuffix(".py"), dir=workshop()))
    command = [python, MAKERS / program, folder, *arguments]
    result = subprocess.run(
        command, env=os.environ | environment, capture_output=True, text=True, timeout=LIMIT_SECONDS
    )
    assert result.returncode == 0, f"{program} failed\n{result.stdout}\n{result.stderr}"
    return folder


def handed_over(name: str, **arrays: np.ndarray) -> Path:
    """A file with arrays for a program, which reads it with `numpy.load`."""
    path = workshop() / f"{name}.npz"
    np.savez(path, **arrays)
    return path
