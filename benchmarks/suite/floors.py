"""What the work costs without a serving system: the server's ECHO of the same bytes, and the engine's own run."""

import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from suite.errors import BenchmarkError
from suite.load import Measurement, Request
from suite.serving import Step

LIMIT_SECONDS = 120
# Where each engine's library lies below the module's folder.
LIBRARIES = {
    "onnx": "backends/redisai_onnxruntime/redisai_onnxruntime.so",
    "tf": "backends/redisai_tensorflow/redisai_tensorflow.so",
    "tflite": "backends/redisai_tflite/redisai_tflite.so",
    "torch": "backends/redisai_torch/redisai_torch.so",
}


def echo_command(size: int) -> bytes:
    """An ECHO that takes `size` bytes on the wire, or one less where its length needs another digit."""
    for length in range(size, -1, -1):
        command = b"*2\r\n$4\r\nECHO\r\n$%d\r\n%s\r\n" % (length, b"x" * length)
        if len(command) <= size:
            return command
    raise ValueError(f"no ECHO is as short as {size} bytes")


def echo_of(request: Request) -> tuple[Step, ...]:
    """The same steps with as many bytes and replies, all of them ECHOs."""
    return tuple(replace(step, payload=_echoes(len(step.payload), step.replies), splice=None) for step in request)


def _echoes(size: int, count: int) -> bytes:
    share, rest = divmod(size, count)
    return b"".join(echo_command(share + (rest if index == 0 else 0)) for index in range(count))


@dataclass(frozen=True)
class RawRuns:
    """The programs of benchmarks/raw, which run a model in the engine's C API with nothing around it."""

    programs: Path
    module: Path

    def missing(self, engine: str) -> str | None:
        """Why an engine cannot be measured."""
        for path in (self.program(engine), self.library(engine)):
            if not path.exists():
                return f"{path} is missing"
        return None

    def program(self, engine: str) -> Path:
        return self.programs / f"raw_run_{engine}"

    def library(self, engine: str) -> Path:
        return self.module.resolve().parent / LIBRARIES[engine]

    def measure(self, engine: str, model: bytes, rows: str, seconds: float, threads: int | None = None) -> Measurement:
        """One round: the CPU of a run in one thread, or its duration with so many engine threads. `rows` is the
        number of rows; raw_run_torch wants shapes."""
        with tempfile.NamedTemporaryFile(suffix=".model") as file:
            file.write(model)
            file.flush()
            words = [self.program(engine), self.library(engine), file.name, rows, "1", str(seconds)]
            ns = _nanoseconds([*map(str, words), *([str(threads)] if threads else [])])
        return {"wall_us" if threads else "run_us": ns / 1000}


def _nanoseconds(words: Sequence[str]) -> float:
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=LIMIT_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BenchmarkError(f"{words[0]}: {error}") from None
    if done.returncode:
        raise BenchmarkError(f"{words[0]} failed: {done.stderr.strip()}")
    return float(done.stdout.split()[0])
