"""All engines and scripts at once under many clients: ``python -m reliability.engines --help``.

32 clients run models of every format, call scripts that call models, replace and delete models, and overwrite inputs of
runs; some leave in the middle. Every answer is checked. Ends with status 1 when one is wrong, the server dies, memory
grows after the warm-up, or there are more threads than the configuration explains.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.pool import AsyncResult
from typing import Any

from support import fraud_models
from support.resp import OK, RawClient
from support.server import Server

from reliability.command_campaign import post_mortem
from reliability.each_server import campaign_parser, on_each_server
from reliability.engine_clients import (
    EngineClient,
    Findings,
    LeavingEngineClient,
    Stage,
)
from reliability.engine_models import formats_of, in_model_order, open_engines
from reliability.processes import Footprint, footprint, settled_thread_names, slope, thread_names
from reliability.workers import WORKERS, Task, worker_pool

CLIENTS = 32
LEAVING_CLIENTS = 4
WARM_UP_SHARE = 0.2
SAMPLE_SECONDS = 1.0
REPORT_SECONDS = 30.0

THREADS_PER_QUEUE = 2
LOADER_THREADS = 2
INTRA_OP_PARALLELISM = 2
MODULE_ARGS = (
    *("THREADS_PER_QUEUE", str(THREADS_PER_QUEUE)),
    *("LOADER_THREADS", str(LOADER_THREADS)),
    *("INTRA_OP_PARALLELISM", str(INTRA_OP_PARALLELISM)),
    *("MODEL_EXECUTION_TIMEOUT", "30000"),
)
JEMALLOC_THREADS = 4
# What the allocators hold back comes and goes by this much, whatever the duration.
RSS_SWING_BYTES = 32_000_000
# A leak of this much would take a server of a gigabyte four months to double.
RSS_SLOPE_BYTES_PER_SECOND = 100


@dataclass(frozen=True)
class EngineTask(Task):
    """So many more clients leave in the middle."""

    leaving: int
    seconds: float
    stage: Stage


@dataclass
class Hammering:
    """The measurements of one server."""

    findings: Findings = field(default_factory=Findings)
    problems: list[str] = field(default_factory=list)
    # Second and footprint.
    samples: list[tuple[float, Footprint]] = field(default_factory=list)
    threads_before: Counter[str] = field(default_factory=Counter)
    threads: Counter[str] = field(default_factory=Counter)

    @property
    def settled(self) -> list[tuple[float, Footprint]]:
        """The samples after the warm-up."""
        return self.samples[int(len(self.samples) * WARM_UP_SHARE) :]

    def rss_slope(self) -> float:
        """Bytes per second."""
        return slope([(second, point.rss) for second, point in self.settled])

    def used_memory_slope(self) -> float:
        return slope([(second, point.used_memory) for second, point in self.settled])

    def growth(self) -> list[str]:
        """What is wrong with resident memory after the warm-up: more at the end than the swing explains."""
        points = [point.rss for _, point in self.settled]
        if len(points) < 10:
            return []
        fifth = len(points) // 5
        grown = statistics.median(points[-fifth:]) - statistics.median(points[:fifth])
        seconds = self.settled[-1][0] - self.settled[0][0]
        if grown > RSS_SWING_BYTES + RSS_SLOPE_BYTES_PER_SECOND * seconds:
            return [f"RSS grows by {grown / 1e6:.1f} MB in {seconds:.0f} s after the warm-up"]
        return []


def run_worker(task: EngineTask) -> Findings:
    """The body of a worker process."""
    return asyncio.run(_run_clients(task))


async def _run_clients(task: EngineTask) -> Findings:
    findings = Findings()
    until = time.monotonic() + task.seconds
    first = task.worker * 1000
    clients = [EngineClient(task.port, first + i, task.seed, task.stage, findings) for i in range(task.clients)]
    leaving = [LeavingEngineClient(task.port, first + i, task.seed, task.stage, findings) for i in range(task.leaving)]
    runs = [client.run(until) for client in (*clients, *leaving)]
    for outcome in await asyncio.gather(*runs, return_exceptions=True):
        if isinstance(outcome, BaseException):
            findings.note_problem(f"a client ended early: {outcome!r}")
    return findings


def set_up(raw: RawClient, engines: Sequence[str]) -> Stage:
    """Stores what stays and finds out in which order its models take and return tensors."""
    open_engines(raw, engines)
    formats = formats_of(engines)
    stage = Stage(
        fraud={name: format.fraud() for name, format in formats.items()},
        rows={name: format.rows() for name, format in formats.items() if format.rows},
        pair={name: format.pair() for name, format in formats.items() if format.pair},
        orders={},
        has_scripts="TORCH" in engines,
    )
    for command in stage.set_up_commands():
        reply = raw.call(*command)
        assert reply == OK, (command[:3], reply)
    for name in stage.fraud:
        stage.orders[name] = in_model_order(raw, f"fraud:{name}", list(fraud_models.INPUTS))
    for name in stage.pair:
        stage.orders[f"pair:{name}"] = _pair_order(raw, f"pair:{name}")
        stage.orders[f"pair inputs:{name}"] = in_model_order(raw, f"pair:{name}", ["a", "b"])
    return stage


def _pair_order(raw: RawClient, key: str) -> list[int]:
    """0 for the sum and 1 for the difference, as the model returns them; without names they are in this order."""
    reply = raw.call("AI.MODELGET", key, "META")
    names = [name.decode() for name in dict(zip(reply[::2], reply[1::2]))[b"outputs"]]
    return [1, 0] if names[0].startswith("d") else [0, 1]


def hammer_engines(
    server: Server, engines: Sequence[str], seed: str, seconds: float, clients: int = CLIENTS, report: bool = False
) -> Hammering:
    """Runs the clients and watches the server."""
    hammering = Hammering(threads_before=settled_thread_names(server.pid))
    with server.raw() as raw:
        stage = set_up(raw, engines)
    leaving = max(WORKERS, LEAVING_CLIENTS * clients // CLIENTS)
    tasks = [
        EngineTask(server.port, seed, worker, clients // WORKERS, leaving // WORKERS, seconds, stage)
        for worker in range(WORKERS)
    ]
    with worker_pool() as pool:
        results = pool.map_async(run_worker, tasks)
        watch(server, hammering, results, seconds, report)
        if not results.ready():
            hammering.problems.append(f"the clients did not end within {2 * seconds + 120:.0f} s")
            hammering.problems.append(post_mortem(server))
            return hammering
        for findings in results.get():
            hammering.findings.add(findings)
    hammering.problems += _judge(server, hammering, engines)
    return hammering


def watch(server: Server, hammering: Hammering, results: AsyncResult[Any], seconds: float, report: bool) -> None:
    """Samples until the clients have ended."""
    start = time.monotonic()
    reported = start
    while not results.ready() and time.monotonic() - start < 2 * seconds + 120:
        time.sleep(SAMPLE_SECONDS)
        if not server.alive():
            break
        try:
            # A busy server is no reason to end the watch.
            hammering.samples.append((time.monotonic() - start, footprint(server)))
        except (OSError, TimeoutError):
            continue
        if report and time.monotonic() - reported >= REPORT_SECONDS:
            reported = time.monotonic()
            print(f"  {reported - start:4.0f} s: {hammering.samples[-1][1]}", flush=True)
    results.wait(60)
    if server.alive():
        hammering.threads = thread_names(server.pid)


def _judge(server: Server, hammering: Hammering, engines: Sequence[str]) -> list[str]:
    problems = list(hammering.findings.problems)
    if hammering.findings.wrong:
        problems.append(f"{hammering.findings.wrong} wrong answers")
    if not server.responsive(timeout=20):
        return [*problems, post_mortem(server)]
    problems += hammering.growth()
    return problems + excess_threads(hammering, engines)


def own_threads(engine: str) -> dict[str, int]:
    """Threads that an engine starts besides the workers and their teams.

    ONNX has a shared pool of all but one, and one for operators side by side, which sleeps. TF has a shared pool, one
    thread for operators side by side, and one for what it computes while it builds a graph. TORCH has a team of the
    thread that opened it. TFLITE calculates in the worker.
    """
    helpers = INTRA_OP_PARALLELISM - 1
    return {
        "ONNX": {"ai-ONNX": helpers + 1},
        "TF": {"ai-TF": INTRA_OP_PARALLELISM, "tf_Compute": 1, "tf_graph_runner": 1},
        "TFLITE": {},
        "TORCH": {"ai-TORCH": helpers},
    }[engine]


def thread_bounds(before: Counter[str], engines: Sequence[str]) -> dict[str, int]:
    """The most threads of each name that the configuration explains; there are to be no others.

    ``before`` are the threads of the server before the first model.
    """
    bounds = {name: count for name, count in before.items() if not name.startswith("ai-")}
    # Started by the server's allocator when it needs them.
    bounds["jemalloc_bg_thd"] = JEMALLOC_THREADS
    bounds |= {"ai-CPU": THREADS_PER_QUEUE, "ai-loader": LOADER_THREADS, "ai-keeper": 1, "ai-replies": 1}
    for engine in engines:
        bounds |= own_threads(engine)
    if "TORCH" in engines:
        # OpenMP gives each worker helpers of its own, which inherit its name.
        bounds["ai-CPU"] += THREADS_PER_QUEUE * (INTRA_OP_PARALLELISM - 1)
    return bounds


def excess_threads(hammering: Hammering, engines: Sequence[str]) -> list[str]:
    """Names of which there are more than the configuration explains."""
    bounds = thread_bounds(hammering.threads_before, engines)
    return [
        f"{count} threads {name}, at most {bounds.get(name, 0)} expected"
        for name, count in sorted(hammering.threads.items())
        if count > bounds.get(name, 0)
    ]


def main() -> int:
    options = _parse_arguments()
    clients = f"{CLIENTS} clients and {LEAVING_CLIENTS} that leave"
    print(f"seed {options.seed}, {', '.join(options.engines)}, {clients}, {options.seconds} s")

    def campaign(server: Server) -> list[str]:
        hammering = hammer_engines(server, options.engines, options.seed, options.seconds, report=True)
        report_hammering(hammering, options.engines)
        return hammering.problems

    lifetime = 2 * options.seconds + 900
    return on_each_server("all engines", options.servers, campaign, module_args=MODULE_ARGS, lifetime=lifetime)


def report_hammering(hammering: Hammering, engines: Sequence[str]) -> None:
    findings = hammering.findings
    for name, number in sorted(findings.operations.items()):
        print(f"  {name:36} {number:>9,}")
    print(f"  {findings.operations.total():,} operations, {findings.wrong} wrong answers")
    for text, number in findings.errors.most_common():
        print(f"  {number:>9,} x {text}")
    if not hammering.samples:
        return
    print(f"  first sample {hammering.samples[0][1]}")
    print(f"  after the warm-up {hammering.settled[0][1]}")
    print(f"  at the end {hammering.samples[-1][1]}")
    print(
        f"  after the warm-up RSS rises by {hammering.rss_slope():,.0f} bytes per second, "
        f"used_memory by {hammering.used_memory_slope():,.0f}"
    )
    bounds = thread_bounds(hammering.threads_before, engines)
    print(f"  {hammering.threads.total()} threads: {dict(sorted(hammering.threads.items()))}")
    print(f"  at most expected: {dict(sorted(bounds.items()))}")


def _parse_arguments() -> argparse.Namespace:
    parser = campaign_parser("engines", __doc__)
    parser.add_argument("--seconds", type=float, default=300, help="duration per server")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
