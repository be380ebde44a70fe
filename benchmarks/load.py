"""What the benchmarks share: load from redis-benchmark, and the server's CPU time that it took."""

import ctypes
import os
import re
import statistics
import subprocess
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

HOST = "127.0.0.1"
# redis-benchmark tries for ever to reach a server that has gone.
LOAD_SECONDS = 120
WARM_UP_REQUESTS = 2000


class BenchmarkError(Exception):
    """Anything that makes the figures worthless; the text is for the user."""


@dataclass(frozen=True)
class Operation:
    """A command; `data`, if any, is its last argument. `size` is the larger of its request and its reply."""

    name: str
    command: tuple[str | bytes, ...]
    data: bytes | None
    size: int

    def echo(self) -> "Operation":
        return Operation(f"ECHO {self.size} B", ("ECHO",), b"x" * self.size, self.size)


@dataclass(frozen=True)
class Sample:
    """One measurement."""

    requests: int
    requests_per_second: float
    p50_us: float
    p99_us: float
    server_cpu_us: float


def process_clock(pid: int) -> int:
    """The identifier of the clock that counts the CPU time of a process, threads that ended included."""
    clock = ctypes.c_int()
    if error := ctypes.CDLL(None).clock_getcpuclockid(pid, ctypes.byref(clock)):
        raise BenchmarkError(f"no CPU clock for process {pid}: {os.strerror(error)}")
    return clock.value


def measure(operation: Operation, clients: int, requests: int, port: int, clock: int) -> Sample:
    """Run one operation `requests` times from `clients` connections."""
    before = time.clock_gettime_ns(clock)
    output = redis_benchmark(operation, clients, requests, port)
    cpu_ns = time.clock_gettime_ns(clock) - before
    rps, _, _, p50, _, p99, _ = map(float, csv_figures(output))
    return Sample(requests, rps, p50 * 1000, p99 * 1000, cpu_ns / 1000 / requests)


def measure_in_turn(
    operations: Sequence[Operation], clients: int, rounds: int, seconds: float, port: int, clock: int
) -> list[tuple[Sample, ...]]:
    """Rounds of one sample per operation, each long enough after a short warm-up that sets its length."""
    rates = [measure(each, clients, WARM_UP_REQUESTS, port, clock).requests_per_second for each in operations]
    counts = [max(WARM_UP_REQUESTS, round(rate * seconds)) for rate in rates]
    return [
        tuple(measure(each, clients, count, port, clock) for each, count in zip(operations, counts, strict=True))
        for _ in range(rounds)
    ]


def redis_benchmark(operation: Operation, clients: int, requests: int, port: int) -> bytes:
    command = ["redis-benchmark", "-h", HOST, "-p", str(port), "-c", str(clients), "-n", str(requests), "--csv"]
    command += [*(["-x"] if operation.data is not None else []), *operation.command]
    try:
        result = subprocess.run(
            command,
            input=operation.data or b"",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=True,
            timeout=LOAD_SECONDS,
        )
    except subprocess.SubprocessError as error:
        output = (error.stdout or b"").decode(errors="replace")
        raise BenchmarkError(f"redis-benchmark failed at {operation.name}: {error}\n{output}") from None
    return result.stdout


def csv_figures(output: bytes) -> list[bytes]:
    """Requests per second, then mean, least, p50, p95, p99 and greatest milliseconds: the last seven fields. The title
    before them repeats the command with its binary arguments, so it is no CSV."""
    fields = re.findall(rb'"([\d.]+)"', output.rstrip().rpartition(b"\n")[2])[-7:]
    if len(fields) != 7:
        raise BenchmarkError(f"redis-benchmark printed {output!r}")
    return fields


def without_zero_bytes(array: np.ndarray) -> np.ndarray:
    """About the same FLOAT numbers with no zero byte among them, because redis-benchmark ends an argument at the first
    one."""
    return (array.view(np.uint32) | 0x01010101).view(np.float32)


def request_size(words: Sequence[str | bytes]) -> int:
    return sum(len(word) for word in words)


def medians(samples: Sequence[Sample]) -> dict[str, float]:
    return {field: statistics.median(asdict(sample)[field] for sample in samples) for field in asdict(samples[0])}
