"""How long others wait while a gigabyte of models is saved, rewritten, copied to a replica, restored, read, deleted and read
back: ``python -m reliability.stall_files --help``.

As in ``reliability.stall``, a client pings a thousand times a second. Everything is measured twice, on strings of the same
sizes and on models: what strings cost as well is the server's own work. So is its fork, whose length it tells. Needs
REDISAI_SERVERS and REDISAI_MODULE. Ends with status 1 when a bar is missed.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection

import numpy as np
from onnx import TensorProto, helper, numpy_helper
from support.resp import OK, Argument, Error, RawClient
from support.server import Server, ServerKind, kinds_from_environment, module_from_environment

from reliability.latency import Ping, measure
from reliability.stall import PACE_MS, SERVER_CONFIG, SOCKET_NAME, Phase

MAX_BAR_MS = 20.0
PATIENCE_SECONDS = 600.0
CONFIG = (*SERVER_CONFIG, "--repl-diskless-sync-delay", "0", "--proto-max-bulk-len", "1gb")
# Trying a model out takes the memory of another process; there is none to spare for two at once on a small machine.
MODULE_ARGS = ("LOADER_THREADS", "1")
NICENESS = 10


def model_of(size: int, seed: int) -> bytes:
    """``y = x + w`` with ``size`` bytes of weights that do not compress."""
    weights = np.random.default_rng(seed).standard_normal(size // 4, dtype=np.float32)
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n"]) for name in "xy"]
    nodes = [helper.make_node("Add", ["x", "w"], ["y"])]
    graph = helper.make_graph(nodes, "large", ports[:1], ports[1:], [numpy_helper.from_array(weights, "w")])
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
    return model.SerializeToString()


class Worker:
    """The body of the working process: one connection, and a note of when each step began and ended."""

    def __init__(self, port: int, is_model: bool, pause: float = 1.0) -> None:
        self._client = RawClient(port, timeout=PATIENCE_SECONDS)
        self._pause = pause
        self.is_model = is_model
        self.phases: list[Phase] = []

    def call(self, *words: Argument) -> object:
        reply = self._client.call(*words)
        assert not isinstance(reply, Error), (words[:2], reply)
        return reply

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        start = time.perf_counter_ns()
        yield
        self.phases.append(Phase(name, start, time.perf_counter_ns()))

    def step(self, name: str, *words: Argument, wait: float = 0.3) -> object:
        """One command, and a moment for what it leaves behind."""
        with self.phase(name):
            reply = self.call(*words)
            self.rest(wait)
        return reply

    def rest(self, seconds: float) -> None:
        """A moment for what has been left behind; shorter in the short form."""
        time.sleep(seconds * self._pause)

    def info(self, section: str) -> dict[str, str]:
        text = self.call("INFO", section)
        assert isinstance(text, bytes)
        return dict(line.split(":", 1) for line in text.decode().split("\r\n") if ":" in line)

    def until(self, section: str, field_name: str, value: str) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self.info(section).get(field_name) != value:
            assert time.monotonic() < deadline, (section, field_name, self.info(section))
            time.sleep(0.05)

    def until_built(self) -> None:
        self.until("modules", "ai_models_loading", "0")


def save(worker: Worker, count: int) -> None:
    with worker.phase("BGSAVE"):
        worker.call("BGSAVE")
        worker.until("persistence", "rdb_bgsave_in_progress", "0")
    assert worker.info("persistence")["rdb_last_bgsave_status"] == "ok"


def rewrite(worker: Worker, count: int) -> None:
    with worker.phase("BGREWRITEAOF"):
        worker.call("BGREWRITEAOF")
        worker.until("persistence", "aof_rewrite_in_progress", "0")
    assert worker.info("persistence")["aof_last_bgrewrite_status"] == "ok"


def resync(worker: Worker, replica_port: int, port: int, count: int) -> None:
    """Another server becomes a replica, and has everything in the end."""
    replica = Worker(replica_port, worker.is_model)
    with worker.phase("full resync"):
        replica.call("REPLICAOF", "127.0.0.1", port)
        replica.until("replication", "master_link_status", "up")
    assert replica.call("DBSIZE") == count
    with worker.phase("the replica leaves"):
        replica.call("REPLICAOF", "NO", "ONE")
        replica.call("FLUSHALL")
        worker.rest(0.3)


def read(worker: Worker, count: int) -> None:
    get = ["AI.MODELGET", "0", "BLOB"] if worker.is_model else ["GET", "0"]
    for _ in range(3):
        worker.step("MODELGET/GET", *get)
    for _ in range(3):
        worker.step("MEMORY USAGE", "MEMORY", "USAGE", "0")
    worker.step("DEBUG DIGEST-VALUE", "DEBUG", "DIGEST-VALUE", "0")


def copy(worker: Worker, count: int) -> None:
    """Strings are copied byte by byte, models shared."""
    worker.step("COPY", "COPY", "0", "copy")
    worker.step("RENAME", "RENAME", "copy", "renamed")
    worker.step("MOVE", "MOVE", "renamed", 1)
    worker.step("SWAPDB", "SWAPDB", 1, 2)
    worker.step("FLUSHALL of another database", "SELECT", 2)
    worker.step("FLUSHDB ASYNC of a shared value", "FLUSHDB", "ASYNC")
    worker.call("SELECT", 0)


def restore(worker: Worker, count: int) -> None:
    payload = worker.step("DUMP", "DUMP", "0")
    assert isinstance(payload, bytes)
    for _ in range(2):
        worker.step("RESTORE", "RESTORE", "restored", 0, payload, "REPLACE", wait=1.0)
        if worker.is_model:
            with worker.phase("building"):
                worker.until_built()
    worker.step("UNLINK", "UNLINK", "restored", wait=1.0)


def delete(worker: Worker, count: int) -> None:
    worker.step("UNLINK", "UNLINK", "0", wait=1.0)
    worker.step("DEL", "DEL", "1", wait=1.0)
    worker.call("PEXPIRE", "2", 1)
    with worker.phase("expiry"):
        worker.until("stats", "expired_keys", "1")
        worker.rest(1.0)
    worker.step("FLUSHALL ASYNC", "FLUSHALL", "ASYNC", wait=3.0)


def build(worker: Worker, count: int) -> None:
    """What follows a restart: everything is built in the background."""
    if worker.is_model:
        with worker.phase("building after the start"):
            worker.until_built()


def together(worker: Worker, count: int) -> None:
    """All jobs of one server in one process: starting one takes seconds."""
    for job in (save, rewrite, read, copy, restore, delete):
        job(worker, count)


@dataclass
class Series:
    """The pings during one job on one kind of value."""

    pings: list[Ping]
    phases: list[Phase]
    # Milliseconds that the server spent in forks that it says to have made.
    fork: float = 0.0

    def longest(self) -> dict[str, tuple[float, float, float]]:
        """Per phase the longest wait, gross and net, and how long the phase took on average; in milliseconds."""
        result: dict[str, tuple[float, float, float]] = {}
        for name in dict.fromkeys(phase.name for phase in self.phases):
            phases = [phase for phase in self.phases if phase.name == name]
            waits = [p for p in self.pings if any(phase.start <= p.sent < phase.end for phase in phases)]
            gross = max((ping.milliseconds for ping in waits), default=0.0)
            net = max((ping.net_milliseconds for ping in waits), default=0.0)
            result[name] = (gross, net, sum(phase.end - phase.start for phase in phases) / 1e6 / len(phases))
        return result


@dataclass
class Report:
    """Both kinds of values, by phase."""

    kind: str
    series: dict[bool, list[Series]] = field(default_factory=lambda: {False: [], True: []})

    def rows(self) -> list[tuple[str, float, tuple[float, float, float] | None, tuple[float, float, float]]]:
        """Phase, length of the fork, figures of strings and of models."""
        strings = {name: row for series in self.series[False] for name, row in series.longest().items()}
        return [
            (name, series.fork, strings.get(name), row)
            for series in self.series[True]
            for name, row in series.longest().items()
        ]

    def missed(self) -> list[str]:
        """The bar is for what models add to the server's own: its fork, and what it does with a string as well."""
        lines = []
        for name, fork, strings, (gross, net, _) in self.rows():
            own = max(fork, strings[1] if strings else 0.0)
            if net > own + MAX_BAR_MS:
                lines.append(f"{self.kind} {name}: {net:.1f} ms ({gross:.1f} with waiting for a processor), server {own:.1f}")
        return lines


def _run_job(
    job: Callable[..., None], port: int, is_model: bool, arguments: tuple, pause: float, result: Connection
) -> None:
    os.nice(NICENESS)
    worker = Worker(port, is_model, pause)
    job(worker, *arguments)
    result.send(worker.phases)


def measure_job(
    server: Server, job: Callable[..., None], is_model: bool, *arguments: object, pause: float = 1.0
) -> Series:
    """Pings while another process does the job; ``pause`` shortens what it rests in between."""
    context = multiprocessing.get_context("spawn")
    receiving, sending = context.Pipe(duplex=False)
    words = (job, server.port, is_model, arguments, pause, sending)
    process = context.Process(target=_run_job, args=words, daemon=True)
    process.start()
    sending.close()
    pings = measure(server.pid, str(server.directory / SOCKET_NAME), PACE_MS, receiving.poll).pings
    try:
        phases = receiving.recv()
    except EOFError:
        raise AssertionError("the working process failed; see above") from None
    process.join(30)
    fork = int(server.info("stats")["latest_fork_usec"]) / 1000 if job in (save, rewrite, resync, together) else 0.0
    return Series(pings, phases, fork)


def fill(server: Server, is_model: bool, count: int, size: int) -> None:
    """``count`` values under the names 0, 1 and so on."""
    with server.raw(timeout=PATIENCE_SECONDS) as client:
        for number in range(count):
            blob = model_of(size, number)
            command = ["AI.MODELSTORE", number, "ONNX", "CPU", "BLOB", blob] if is_model else ["SET", number, blob]
            assert client.call(*command) == OK


def measure_kind(kind: ServerKind, count: int, size: int) -> tuple[Report, dict[bool, float]]:
    """The report, and the seconds that reading the data file takes."""
    report = Report(kind.name)
    reading: dict[bool, float] = {}
    module = module_from_environment()
    for is_model in (False, True):
        series = report.series[is_model]
        with (
            Server(kind.name, kind.binary, module, MODULE_ARGS, CONFIG, lifetime=3600) as server,
            Server(kind.name, kind.binary, module, MODULE_ARGS, CONFIG, lifetime=3600) as replica,
        ):
            fill(server, is_model, count, size)
            for job in (save, rewrite):
                series.append(measure_job(server, job, is_model, count))
            series.append(measure_job(server, resync, is_model, replica.port, server.port, count))
            replica.stop()
            for job in (read, copy, restore):
                series.append(measure_job(server, job, is_model, count))
            reading[is_model] = _restart(server)
            series.append(measure_job(server, build, is_model, count))
            series.append(measure_job(server, delete, is_model, count))
            crash = server.crash_report()
            assert crash is None, crash
    return report, reading


def _restart(server: Server) -> float:
    """Seconds that the server spent on reading its data file."""
    with server.raw(timeout=PATIENCE_SECONDS) as client:
        assert client.call("SAVE") == OK
    server.kill9()
    server.start_timeout = PATIENCE_SECONDS
    server.start()
    for line in reversed(server.log_text().splitlines()):
        if "DB loaded from disk" in line:
            return float(line.split(":")[-1].split()[0])
    raise AssertionError("the log does not say how long reading took")


def main() -> int:
    options = _parse_arguments()
    size = options.megabytes * 10**6 // options.count
    print(f"{options.count} values of {size / 1e6:.0f} MB; {os.cpu_count()} cores; milliseconds; net: without waiting for CPU")
    missed = []
    for kind in kinds_from_environment():
        if options.servers and kind.name not in options.servers:
            continue
        report, reading = measure_kind(kind, options.count, size)
        _print(report, reading)
        missed += report.missed()
    for line in missed:
        print(f"MISSED {line}", file=sys.stderr)
    return 1 if missed else 0


def _print(report: Report, reading: dict[bool, float]) -> None:
    print(f"==> {report.kind}")
    print(f"  {'':32} {'longest wait, strings':>24} {'longest wait, models':>24} {'takes':>16}  fork")
    for name, fork, strings, models in report.rows():
        columns = [f"{row[0]:10.1f} net {row[1]:8.1f}" if row else "" for row in (strings, models)]
        took = f"{strings[2] if strings else 0:.0f} / {models[2]:.0f}"
        print(f"  {name:32} {columns[0]:>24} {columns[1]:>24} {took:>16}  {fork or '':.5}")
    print(f"  reading the data file at start: strings {reading[False]:.2f} s, models {reading[True]:.2f} s", flush=True)


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="stall_files", description=__doc__.split(":")[0])
    parser.add_argument("--count", type=int, default=8, help="number of values")
    parser.add_argument("--megabytes", type=int, default=1000, help="size of all of them together")
    parser.add_argument("servers", nargs="*", help="names from REDISAI_SERVERS; default: all")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
