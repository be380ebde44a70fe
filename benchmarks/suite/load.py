"""Load from aibench: a plan goes in, a measurement comes out."""

import base64
import json
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from suite.errors import BenchmarkError
from suite.serving import Process, Step, Target

SEED = 1
# Beyond the measured time: starting, connecting, and the last answers.
GRACE_SECONDS = 60

Request = Sequence[Step]
# What aibench says of one measurement; see benchmarks/load/README.md for its fields.
Measurement = dict[str, Any]


@dataclass(frozen=True)
class Closed:
    """Each connection sends its next request when the answer to an earlier one is there."""

    connections: int
    pipeline: int = 1


@dataclass(frozen=True)
class Open:
    """Requests start when the clock says so, `rate` a second, whether or not earlier ones are answered."""

    rate: float
    connections: int
    arrivals: str = "poisson"


Load = Closed | Open


@dataclass(frozen=True)
class Duration:
    """Seconds of one measurement, and of the same load just before, which does not count."""

    seconds: float
    warm_up_seconds: float = 0.5


@dataclass(frozen=True)
class Ping:
    """RESP PINGs beside the load, `rate` a second, on a connection of their own."""

    target: str
    rate: int = 1000


def plan(
    label: str,
    targets: Mapping[str, Target],
    processes: Sequence[Process],
    requests: Sequence[Request],
    load: Load,
    duration: Duration,
    ping: Ping | None = None,
) -> dict[str, Any]:
    """The plan as aibench reads it."""
    mode = "closed" if isinstance(load, Closed) else "open"
    result: dict[str, Any] = {
        "label": label,
        "seed": SEED,
        "targets": {name: asdict(target) for name, target in targets.items()},
        "requests": [{"steps": [_step(step) for step in request]} for request in requests],
        "inferences_per_request": 1,
        "load": {"mode": mode} | asdict(load),
        "threads": 1,
        "warm_up_seconds": duration.warm_up_seconds,
        "seconds": duration.seconds,
        "processes": [asdict(process) for process in processes],
    }
    if ping:
        result["ping"] = asdict(ping)
    return result


def _step(step: Step) -> dict[str, Any]:
    result: dict[str, Any] = {
        "target": step.target,
        "payload": base64.b64encode(step.payload).decode(),
        "replies": step.replies,
    }
    if step.path is not None:
        result["path"] = step.path
    if step.splice is not None:
        result["splice"] = asdict(step.splice)
    return result


@dataclass(frozen=True)
class LoadGenerator:
    """The program."""

    program: Path

    def run(self, plan: Mapping[str, Any]) -> Measurement:
        """Raises BenchmarkError when nothing was measured."""
        limit = plan["warm_up_seconds"] + plan["seconds"] + GRACE_SECONDS
        with tempfile.TemporaryDirectory(prefix="aibench-") as folder:
            source, target = Path(folder) / "plan.json", Path(folder) / "result.json"
            source.write_text(json.dumps(plan))
            words = [self.program, "run", source, "--output", target, "--quiet"]
            try:
                done = subprocess.run(words, capture_output=True, text=True, timeout=limit)
            except (OSError, subprocess.TimeoutExpired) as error:
                raise BenchmarkError(f"{plan['label']}: {error}") from None
            if done.returncode:
                raise BenchmarkError(f"{plan['label']}: aibench failed: {done.stderr.strip()}")
            result = json.loads(target.read_text())
        if not result["completed"]:
            raise BenchmarkError(f"{plan['label']}: no request was answered; errors: {result['errors']}")
        return result


def sample_reply(measurement: Measurement) -> bytes:
    """The last step's reply to the first request that was sent."""
    return base64.b64decode(measurement["sample_reply"])
