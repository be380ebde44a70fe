"""Starts one serving system, sends it requests, checks every answer, and prints throughput and CPU time.

    python -m suite.systems NAME

The load comes from plain Python clients in this one process, which is enough to see that a system works. They speak
HTTP and RESP; the answers of a system that speaks gRPC are checked when it starts, and load for it comes from aibench.
"""

import argparse
import importlib
import signal
import sys
import tempfile
import time
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from pathlib import Path
from threading import Event

import numpy as np

from suite.errors import BenchmarkError
from suite.serving import RunningSystem, ServingSystem, Workload
from suite.systems.check import compare, expected_answers
from suite.systems.clients import Player
from suite.systems.cpu import cpu_seconds


def system_named(name: str) -> ServingSystem:
    try:
        return importlib.import_module(f"suite.systems.{name.replace('-', '_')}").SYSTEM
    except (ImportError, AttributeError) as error:
        raise BenchmarkError(f"no serving system {name}: {error}") from None


def play(running: RunningSystem, expected: np.ndarray, seed: int, over: Event) -> int:
    """Send requests on connections of this thread's own until it is over; how many were answered."""
    generator = np.random.default_rng(seed)
    count = 0
    with Player(running.targets) as player:
        while not over.is_set():
            index = int(generator.integers(len(expected)))
            compare(index, running.probabilities(player.play(running.request(index))), expected[index])
            count += 1
    return count


def load(running: RunningSystem, expected: np.ndarray, connections: int, seconds: float) -> int:
    over = Event()
    with ThreadPoolExecutor(connections) as pool:
        try:
            players = [pool.submit(play, running, expected, seed, over) for seed in range(connections)]
            wait(players, timeout=seconds, return_when=FIRST_EXCEPTION)
        finally:
            over.set()
        return sum(player.result() for player in players)


def measure(system: ServingSystem, workload: Workload, arguments: argparse.Namespace) -> None:
    expected = expected_answers(workload)
    with tempfile.TemporaryDirectory(prefix=f"{system.name}-") as folder:
        begin = time.monotonic()
        with system.start(workload, Path(folder)) as running:
            print(f"{system.title}: ready after {time.monotonic() - begin:.1f} s", flush=True)
            load(running, expected, arguments.connections, arguments.warm_up)
            before = [cpu_seconds(process.pid) for process in running.processes]
            begin = time.monotonic()
            count = load(running, expected, arguments.connections, arguments.seconds)
            elapsed = time.monotonic() - begin
            after = [cpu_seconds(process.pid) for process in running.processes]
            print(f"{count} right answers, {count / elapsed:,.0f} a second")
            for process, first, last in zip(running.processes, before, after):
                print(f"  {process.name}: {(last - first) / count * 1e6:,.0f} µs CPU each")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m suite.systems", description=__doc__.splitlines()[0])
    parser.add_argument("name", help="flask, torchserve, triton, mlserver, tensorflow-serving, ...")
    parser.add_argument("--reference-bytes", type=int, default=1024, help="0: a model without (default: %(default)s)")
    parser.add_argument("--entries", type=int, default=200, help="transactions (default: %(default)s)")
    parser.add_argument("--batching", action="store_true")
    parser.add_argument("--connections", type=int, default=16, help="default: %(default)s")
    parser.add_argument("--seconds", type=float, default=2.0, help="default: %(default)s")
    parser.add_argument("--warm-up", type=float, default=1.0, help="seconds of load before (default: %(default)s)")
    return parser.parse_args()


def main() -> int:
    arguments = parse_arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    workload = Workload(
        reference="store" if arguments.reference_bytes else "none",
        reference_bytes=arguments.reference_bytes,
        batching=arguments.batching,
        entries=arguments.entries,
    )
    try:
        system = system_named(arguments.name)
        if reason := system.unavailable():
            raise BenchmarkError(f"{system.title} cannot run here: {reason}")
        measure(system, workload, arguments)
    except BenchmarkError as error:
        print(f"systems: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
