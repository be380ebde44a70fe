"""An hour of everything at once, and what it leaves in memory: ``python -m reliability.soak --help``.

Clients use all engines, scripts, DAGs and batches at a steady pace: they store, replace and delete models, set tensors
of all sizes, leave in the middle, and send a share of wrong commands, each of which has to get its error. The server
saves now and then. Ends with status 1 when an answer is wrong, when resident memory or used_memory grows by more than
1 % per hour after the warm-up, or when threads or file descriptors do.

The growth is the median of the slopes between any two samples (Theil-Sen), which single peaks do not move. Writes every
sample to ``soak-<server>.csv``, and the verdict to ``soak-<server>.json``.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import json
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, astuple, dataclass, field, fields
from multiprocessing.pool import AsyncResult
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats
from support.resp import OK, ConnectionClosed, Error, RawClient
from support.server import Server
from support.wait import eventually

from reliability.command_campaign import post_mortem
from reliability.each_server import campaign_parser, on_each_server
from reliability.engine_clients import Findings, LeavingEngineClient, Stage
from reliability.engines import MODULE_ARGS, Hammering, excess_threads, set_up
from reliability.processes import resident_bytes, settled_thread_names, thread_count, thread_names
from reliability.soak_clients import SoakClient, batched_commands
from reliability.workers import WORKERS, Task, worker_pool

CLIENTS = 8
LEAVING_CLIENTS = 2
RATE = 150.0
"""Of all clients together, per second: about half of a core, the clients included."""
WARM_UP_SHARE = 0.25
LONGEST_WARM_UP_SECONDS = 600.0
SAMPLE_SECONDS = 5.0
SAVE_SECONDS = 90.0
REPORT_SECONDS = 60.0
GROWTH_LIMIT_PER_HOUR = 0.01
# Engines and allocators take about as much within the first minutes, which a short form cannot tell from growth.
SWING_BYTES = 150_000_000
LONG_SECONDS = 1800.0
"""From here on the limit is taken as it stands, without a swing."""
DESCRIPTOR_TOLERANCE = 8
# Of the slopes between samples: how sure the bounds are.
_CONFIDENCE = 0.95
_ALREADY_SAVING = "ERR Background save already in progress"


@dataclass(frozen=True)
class SoakTask(Task):
    """``rate`` is that of each client."""

    leaving: int
    seconds: float
    rate: float
    stage: Stage


@dataclass(frozen=True)
class Sample:
    """One look at the server. Memory is in bytes; what the allocator says is about the server's own one."""

    second: float
    rss: int
    used_memory: int
    allocator_allocated: int
    allocator_resident: int
    engine_memory: int
    threads: int
    descriptors: int
    keys: int
    clients: int


@dataclass(frozen=True)
class Trend:
    """The growth of a quantity after the warm-up, per hour, with bounds of its confidence, and its median."""

    per_hour: float
    low: float
    high: float
    median: float
    hours: float

    @classmethod
    def of(cls, points: Sequence[tuple[float, float]]) -> Trend:
        """Of seconds and values."""
        if len(points) < 3:
            return cls(0, 0, 0, points[0][1] if points else 0, 0)
        seconds, values = np.array(points, dtype=float).T
        fit = stats.theilslopes(values, seconds / 3600, _CONFIDENCE)
        hours = (seconds[-1] - seconds[0]) / 3600
        return cls(float(fit[0]), float(fit[2]), float(fit[3]), float(np.median(values)), float(hours))

    @property
    def share_per_hour(self) -> float:
        return self.per_hour / self.median if self.median else 0.0

    def exceeds(self, limit_per_hour: float) -> bool:
        """More growth than the limit allows in this time; a swing comes on top when it was short."""
        swing = 0 if self.hours * 3600 >= LONG_SECONDS else SWING_BYTES
        return self.per_hour * self.hours > limit_per_hour * self.hours + swing

    def __str__(self) -> str:
        return (
            f"{self.per_hour / 1e6:+.2f} MB per hour ({self.low / 1e6:+.2f} to {self.high / 1e6:+.2f}), "
            f"{self.share_per_hour:+.2%} of {self.median / 1e6:.1f} MB, over {self.hours * 60:.0f} minutes"
        )


@dataclass
class Soak:
    """The measurements of one server."""

    warm_up_seconds: float
    samples: list[Sample] = field(default_factory=list)
    findings: Findings = field(default_factory=Findings)
    saves: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def settled(self) -> list[Sample]:
        # Starting the processes of the clients takes a while, and does not count.
        begin = next((sample.second for sample in self.samples if sample.clients >= CLIENTS), 0.0)
        return [sample for sample in self.samples if sample.second >= begin + self.warm_up_seconds]

    def trend(self, name: str) -> Trend:
        return Trend.of([(sample.second, getattr(sample, name)) for sample in self.settled])

    def growth(self) -> list[str]:
        """What is wrong with the course of the samples."""
        settled = self.settled
        if len(settled) < 10:
            return ["too few samples after the warm-up"]
        # What grows in used_memory is resident, and judged by the same measure.
        limit = GROWTH_LIMIT_PER_HOUR * self.trend("rss").median
        trends = {name: self.trend(name) for name in ("rss", "used_memory")}
        problems = [f"{name} grows: {trend}" for name, trend in trends.items() if trend.exceeds(limit)]
        fifth = len(settled) // 5
        before, after = (statistics.median(s.descriptors for s in part) for part in (settled[:fifth], settled[-fifth:]))
        if after > before + DESCRIPTOR_TOLERANCE:
            problems.append(f"file descriptors: {before:.0f} -> {after:.0f}")
        return problems


def run_worker(task: SoakTask) -> Findings:
    """The body of a worker process."""
    return asyncio.run(_run_clients(task))


async def _run_clients(task: SoakTask) -> Findings:
    findings = Findings()
    until = time.monotonic() + task.seconds
    first, stage, seed = task.worker * 1000, task.stage, task.seed
    clients = [SoakClient(task.port, first + i, seed, stage, findings, task.rate) for i in range(task.clients)]
    leaving = [LeavingEngineClient(task.port, first + i, seed, stage, findings) for i in range(task.leaving)]
    runs = [client.run(until) for client in (*clients, *leaving)]
    for outcome in await asyncio.gather(*runs, return_exceptions=True):
        if isinstance(outcome, BaseException):
            findings.note_problem(f"a client ended early: {outcome!r}")
    return findings


def soak(
    server: Server, engines: Sequence[str], seed: str, seconds: float, rate: float = RATE,
    sample_seconds: float = SAMPLE_SECONDS, save_seconds: float = SAVE_SECONDS, output: Path | None = None,
) -> Soak:  # fmt: skip
    """Runs the clients and watches the server; ``output`` is the folder for the samples, which prints as well."""
    result = Soak(min(WARM_UP_SHARE * seconds, LONGEST_WARM_UP_SECONDS))
    threads_before = settled_thread_names(server.pid)
    with server.raw(timeout=120) as raw:
        stage = set_up(raw, engines)
        for command in batched_commands(stage):
            reply = raw.call(*command)
            assert reply == OK, (command[:3], reply)
    counts = (CLIENTS // WORKERS, LEAVING_CLIENTS // WORKERS)
    tasks = [SoakTask(server.port, seed, worker, *counts, seconds, rate / CLIENTS, stage) for worker in range(WORKERS)]
    with worker_pool() as pool:
        results = pool.map_async(run_worker, tasks)
        _Watch(server, result, sample_seconds, save_seconds, output).until(results, seconds + 120)
        if not results.ready():
            result.problems += ["the clients did not end in time", post_mortem(server)]
            return result
        for findings in results.get():
            result.findings.add(findings)
    result.problems += _judge(server, result)
    threads = Hammering(threads_before=threads_before, threads=thread_names(server.pid))
    result.problems += excess_threads(threads, engines)
    return result


class _Watch:
    """Samples the server, and has it save now and then."""

    def __init__(
        self, server: Server, result: Soak, sample_seconds: float, save_seconds: float, output: Path | None
    ) -> None:
        self._server = server
        self._result = result
        self._sample_seconds = sample_seconds
        self._save_seconds = save_seconds
        self._path = output / f"soak-{server.kind}.csv" if output else None
        if self._path:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._write([field.name for field in fields(Sample)], "w")

    def until(self, results: AsyncResult[Any], seconds: float) -> None:
        """Until the clients have ended, or the time is up."""
        start = time.monotonic()
        saved = reported = 0.0
        with self._server.raw(timeout=60) as raw:
            while not results.ready() and time.monotonic() - start < seconds and self._server.alive():
                results.wait(self._sample_seconds)
                second = time.monotonic() - start
                try:
                    self._look(raw, second)
                    if second - saved >= self._save_seconds:
                        saved = second
                        self._save(raw)
                except (OSError, ConnectionClosed) as error:
                    self._result.problems.append(f"the server does not answer: {error!r}")
                    return
                if self._path and second - reported >= REPORT_SECONDS:
                    reported = second
                    print(f"  {_line(self._result)}", flush=True)

    def _look(self, raw: RawClient, second: float) -> None:
        sample = take_sample(self._server, raw, second)
        self._result.samples.append(sample)
        self._write(astuple(sample), "a")

    def _write(self, row: Sequence[object], mode: str) -> None:
        if self._path:
            with self._path.open(mode, newline="", encoding="ascii") as file:
                csv.writer(file).writerow(row)

    def _save(self, raw: RawClient) -> None:
        reply = raw.call("BGSAVE")
        if isinstance(reply, Error) and not reply.text.startswith(_ALREADY_SAVING):
            self._result.problems.append(f"BGSAVE: {reply.text}")
        self._result.saves += not isinstance(reply, Error)


def take_sample(server: Server, raw: RawClient, second: float) -> Sample:
    """From INFO, and from what the kernel says of the process."""
    sections = raw.call("INFO", "everything").decode()
    info = dict(line.split(":", 1) for line in sections.split("\r\n") if ":" in line)
    return Sample(
        second=round(second, 1),
        rss=resident_bytes(server.pid),
        used_memory=int(info["used_memory"]),
        allocator_allocated=int(info["allocator_allocated"]),
        allocator_resident=int(info["allocator_resident"]),
        engine_memory=sum(int(value) for name, value in info.items() if name in _ENGINE_MEMORY),
        threads=thread_count(server.pid),
        descriptors=sum(1 for _ in Path(f"/proc/{server.pid}/fd").iterdir()),
        keys=raw.call("DBSIZE"),
        clients=int(info["connected_clients"]),
    )


_TRENDS = ("rss", "used_memory", "allocator_allocated", "allocator_resident")
_ENGINE_MEMORY = ("ai_onnxruntime_memory",)


def _line(result: Soak) -> str:
    last = result.samples[-1]
    phase = "warm-up" if last.second < result.warm_up_seconds else str(result.trend("rss"))
    return (
        f"{last.second:5.0f} s: RSS {last.rss / 1e6:.1f} MB, used_memory {last.used_memory / 1e6:.1f} MB, "
        f"{last.threads} threads, {last.descriptors} descriptors, {last.keys} keys; {phase}"
    )


def _judge(server: Server, result: Soak) -> list[str]:
    findings = result.findings
    problems = list(findings.problems)
    if findings.wrong:
        problems.append(f"{findings.wrong} wrong answers")
    if not server.responsive(timeout=20):
        return [*problems, post_mortem(server)]
    if not result.saves:
        problems.append("nothing was saved")
    try:
        eventually(lambda: server.info("persistence")["rdb_bgsave_in_progress"] == "0", "the end of BGSAVE", timeout=60)
    except AssertionError as error:
        problems.append(str(error))
    if server.info("persistence")["rdb_last_bgsave_status"] != "ok":
        problems.append("the last BGSAVE failed")
    return problems + result.growth()


def report(result: Soak) -> None:
    findings = result.findings
    for name, number in sorted(findings.operations.items()):
        print(f"  {name:36} {number:>9,}")
    print(f"  {findings.operations.total():,} operations, {findings.wrong} wrong answers, {result.saves} saves")
    for text, number in findings.errors.most_common(30):
        print(f"  {number:>9,} x {text}")
    for name in _TRENDS:
        print(f"  {name} after {result.warm_up_seconds:.0f} s of warm-up: {result.trend(name)}")


def write_verdict(result: Soak, path: Path, about: dict[str, Any]) -> None:
    """``about`` says which run it was."""
    trends = {name: result.trend(name) for name in _TRENDS}
    verdict = about | {
        "warm_up_seconds": result.warm_up_seconds,
        "growth_limit_per_hour": GROWTH_LIMIT_PER_HOUR,
        "trends": {name: asdict(trend) | {"share_per_hour": trend.share_per_hour} for name, trend in trends.items()},
        "operations": dict(result.findings.operations),
        "expected_errors": dict(result.findings.errors),
        "wrong_answers": result.findings.wrong,
        "saves": result.saves,
        "problems": result.problems,
    }
    path.write_text(json.dumps(verdict, indent=2) + "\n", encoding="utf-8")


def main() -> int:
    options = _parse_arguments()
    about = {"seed": options.seed, "engines": options.engines, "minutes": options.minutes, "rate": options.rate}
    print(", ".join(f"{name} {value}" for name, value in about.items()))

    def campaign(server: Server) -> list[str]:
        result = soak(server, options.engines, options.seed, 60 * options.minutes, options.rate, output=options.output)
        report(result)
        write_verdict(result, options.output / f"soak-{server.kind}.json", about | {"server": server.kind})
        return result.problems

    return on_each_server(
        "soak", options.servers, campaign, module_args=MODULE_ARGS, lifetime=60 * options.minutes + 900
    )


def _parse_arguments() -> argparse.Namespace:
    parser = campaign_parser("soak", __doc__)
    parser.add_argument("--minutes", type=float, default=60, help="duration per server, default 60")
    parser.add_argument("--rate", type=float, default=RATE, help=f"operations per second, default {RATE:.0f}")
    parser.add_argument("--output", type=Path, default=Path(".build/reports"), help="folder for samples and verdict")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
