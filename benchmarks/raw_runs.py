"""What ONNX Runtime itself takes for a run, measured by raw_run.c."""

import subprocess
import tempfile
from pathlib import Path

from load import BenchmarkError

LIMIT_SECONDS = 120


def raw_run_us(
    program: str, module: str, model: bytes, rows: int, rounds: int = 1, seconds: float = 0.3
) -> list[float]:
    """CPU microseconds of one run, one figure per round, with the library that lies beside the module."""
    library = Path(module).resolve().parent / "backends/redisai_onnxruntime/redisai_onnxruntime.so"
    with tempfile.NamedTemporaryFile(suffix=".onnx") as file:
        file.write(model)
        file.flush()
        words = [program, library, file.name, str(rows), str(rounds), str(seconds)]
        result = subprocess.run(words, capture_output=True, text=True, timeout=LIMIT_SECONDS)
    if result.returncode:
        raise BenchmarkError(f"raw_run failed: {result.stderr}")
    return [float(line) / 1000 for line in result.stdout.split()]
