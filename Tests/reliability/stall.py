"""How long others wait while a large model is stored, replaced and deleted: ``python -m reliability.stall --help``.

A client pings a thousand times a second; another process does the work. The same is measured of an idle server (what
the client and the machine contribute) and while strings of the model's size are SET (what the server itself does).
Needs REDISAI_SERVERS, REDISAI_MODULE and REDISAI_MINILM. Ends with status 1 when a bar is missed.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event

from support.minilm_export import minilm_onnx_bytes
from support.resp import OK, Argument, RawClient, encode_command
from support.server import Server, ServerKind, kinds_from_environment, module_from_environment

from reliability.latency import Ping, Pings, Summary, measure, summarize

PACE_MS = 1.0
P99_BAR_MS = 2.0
MAX_BAR_MS = 20.0
# The server reads an argument of 32 KiB or more in as large pieces as have arrived; shorter ones let others in between.
CHUNK_BYTES = 32_000
SOCKET_NAME = "ping.sock"
SERVER_CONFIG = ("--unixsocket", SOCKET_NAME)
WORST_SHOWN = 8
IDLE_SECONDS = 5.0
# The worker's own copying must not compete with the pinging client.
WORKER_NICENESS = 10
SHIELD_NICENESS = -15


@dataclass(frozen=True)
class Phase:
    """A step of the working client, in nanoseconds of the monotonic clock."""

    name: str
    start: int
    end: int


@dataclass(frozen=True)
class Measurement:
    """Pings and what went on meanwhile."""

    name: str
    series: Pings
    phases: list[Phase]

    @property
    def pings(self) -> list[Ping]:
        return self.series.pings

    @property
    def summary(self) -> Summary:
        return summarize([ping.milliseconds for ping in self.pings])

    @property
    def net_summary(self) -> Summary:
        """Without the time that the server did not get a processor: what is left is the server's and the module's."""
        return summarize([ping.net_milliseconds for ping in self.pings])

    def missed_bars(self, server: str) -> list[str]:
        """The bars are for models; the others are there to compare with."""
        summary = self.summary
        if not self.name.startswith("AI.") or (summary.p99 <= P99_BAR_MS and summary.maximum <= MAX_BAR_MS):
            return []
        net = self.net_summary
        return [
            f"{server} {self.name}: p99 {summary.p99:.3f} ms, max {summary.maximum:.3f} ms (bars {P99_BAR_MS:g} and "
            f"{MAX_BAR_MS:g}); without waiting for a processor {net.p99:.3f} and {net.maximum:.3f} ms"
        ]

    def worst(self, count: int = WORST_SHOWN) -> list[str]:
        """The longest pings, net, with the phase in which they were sent and how far into it."""
        lines = []
        for ping in sorted(self.pings, key=lambda ping: -ping.net_milliseconds)[:count]:
            phase = next((p for p in self.phases if p.start <= ping.sent < p.end), None)
            place = f"{(ping.sent - phase.start) / 1e6:8.1f} ms into {phase.name}" if phase else "between the steps"
            lines.append(f"{ping.net_milliseconds:8.3f} ms net ({ping.milliseconds:8.3f} ms)  {place}")
        return lines

    def by_phase(self) -> list[str]:
        """Net percentiles of the pings that were sent in each kind of phase."""
        times: dict[str, list[float]] = defaultdict(list)
        remaining = sorted(self.phases, key=lambda phase: phase.start)
        for ping in self.pings:
            while remaining and remaining[0].end <= ping.sent:
                remaining.pop(0)
            inside = bool(remaining) and remaining[0].start <= ping.sent
            times[remaining[0].name if inside else "between the steps"].append(ping.net_milliseconds)
        durations: dict[str, list[float]] = defaultdict(list)
        for phase in self.phases:
            durations[phase.name].append((phase.end - phase.start) / 1e6)
        lines = []
        for name, values in times.items():
            average = f", takes {sum(durations[name]) / len(durations[name]):6.1f} ms" if name in durations else ""
            lines.append(f"{name:20} {summarize(values)}{average}")
        return lines


class _Recorder:
    """Sends commands and notes how long each part of their exchange takes."""

    def __init__(self, client: RawClient, pause: float) -> None:
        self._client = client
        self._pause = pause
        self.phases: list[Phase] = []

    def call(self, name: str, encoded: bytes, is_long: bool = True) -> None:
        """A long command's upload and what follows it are different phases."""
        start = time.perf_counter_ns()
        self._client.send_bytes(encoded)
        sent = time.perf_counter_ns()
        reply = self._client.read()
        end = time.perf_counter_ns()
        assert reply in (OK, 1), reply
        if is_long:
            self.phases += [Phase(f"{name}: upload", start, sent), Phase(f"{name}: answer", sent, end)]
        else:
            self.phases.append(Phase(name, start, end))
        start = time.perf_counter_ns()
        time.sleep(self._pause)
        self.phases.append(Phase(f"{name}: aftermath", start, time.perf_counter_ns()))


def store_models(port: int, minilm: str, rounds: int, pause: float) -> list[Phase]:
    """Stores, replaces and deletes the model; the body of the working process."""
    return _store(port, rounds, pause, [minilm_onnx_bytes(minilm)])


def store_models_in_chunks(port: int, minilm: str, rounds: int, pause: float) -> list[Phase]:
    """The same with the file in short arguments."""
    blob = minilm_onnx_bytes(minilm)
    chunks = [blob[start : start + CHUNK_BYTES] for start in range(0, len(blob), CHUNK_BYTES)]
    return _store(port, rounds, pause, chunks)


def _store(port: int, rounds: int, pause: float, chunks: Sequence[bytes]) -> list[Phase]:
    store = encode_command("AI.MODELSTORE", "m", "ONNX", "CPU", "BLOB", *chunks)
    return _work(port, rounds, pause, [("store", store), ("replace", store)], ["AI.MODELDEL", "m"])


def set_strings(port: int, minilm: str, rounds: int, pause: float) -> list[Phase]:
    """The same with a string of the same size."""
    command = encode_command("SET", "s", minilm_onnx_bytes(minilm))
    return _work(port, rounds, pause, [("set", command), ("set again", command)], ["UNLINK", "s"])


def _work(
    port: int, rounds: int, pause: float, long: Sequence[tuple[str, bytes]], delete: Sequence[Argument]
) -> list[Phase]:
    with RawClient(port, timeout=60) as client:
        recorder = _Recorder(client, pause)
        for _ in range(rounds):
            for name, command in long:
                recorder.call(name, command)
            recorder.call("delete", encode_command(*delete), is_long=False)
        return recorder.phases


JOBS = {
    "SET": set_strings,
    "AI.MODELSTORE": store_models,
    "AI.MODELSTORE in chunks": store_models_in_chunks,
}


def _worker(
    job: str, port: int, minilm: str, rounds: int, pause: float, ready: Event, go: Event, result: Connection
) -> None:
    """Has everything read and imported before the measurement starts."""
    os.nice(WORKER_NICENESS)
    minilm_onnx_bytes(minilm)
    ready.set()
    go.wait()
    result.send(JOBS[job](port, minilm, rounds, pause))


def measure_idle(server: Server, seconds: float = IDLE_SECONDS) -> Measurement:
    """The share of the client and the machine."""
    end = time.monotonic() + seconds
    return Measurement("idle", _measure(server, lambda: time.monotonic() > end), [])


def measure_work(server: Server, job: str, minilm: str, rounds: int, pause: float = 0.0) -> Measurement:
    """Pings while another process does one of the jobs above, with `pause` seconds after each step."""
    context = multiprocessing.get_context("spawn")
    ready, go = context.Event(), context.Event()
    receiving, sending = context.Pipe(duplex=False)
    arguments = (job, server.port, minilm, rounds, pause, ready, go, sending)
    process = context.Process(target=_worker, args=arguments, daemon=True)
    process.start()
    # Only the worker keeps an open end, so that its death is noticed.
    sending.close()
    assert ready.wait(120), "the working process does not come up"
    go.set()
    series = _measure(server, receiving.poll)
    try:
        phases = receiving.recv()
    except EOFError:
        raise AssertionError("the working process failed; see above") from None
    process.join(30)
    return Measurement(job, series, phases)


def _measure(server: Server, finished: Callable[[], bool]) -> Pings:
    return measure(server.pid, str(server.directory / SOCKET_NAME), PACE_MS, finished)


def main() -> int:
    options = _parse_arguments()
    minilm = os.environ["REDISAI_MINILM"]
    size = len(minilm_onnx_bytes(minilm))
    print(f"model of {size / 1e6:.1f} MB, {options.rounds} rounds of store, replace and delete; {os.cpu_count()} cores")
    missed = []
    for kind in kinds_from_environment():
        if not options.servers or kind.name in options.servers:
            missed += _report_kind(kind, minilm, options)
    for line in missed:
        print(f"MISSED {line}", file=sys.stderr)
    return 1 if missed else 0


def _report_kind(kind: ServerKind, minilm: str, options: argparse.Namespace) -> list[str]:
    print(f"==> {kind.name}", flush=True)
    with Server(kind.name, kind.binary, module_from_environment(), config=SERVER_CONFIG) as server:
        if options.shield:
            # The number of the process is that of its first thread; the others keep their priority.
            os.setpriority(os.PRIO_PROCESS, server.pid, SHIELD_NICENESS)
        # The first store loads the engine; that is measured like any other.
        measurements = [measure_idle(server)]
        measurements += [measure_work(server, job, minilm, options.rounds, options.pause) for job in JOBS]
    for measurement in measurements:
        _print_summary(measurement)
    for measurement in measurements[1:]:
        _print_details(measurement)
    return [line for measurement in measurements for line in measurement.missed_bars(kind.name)]


def _print_summary(measurement: Measurement) -> None:
    print(f"  {measurement.name:25} {measurement.summary}")
    print(f"    without waiting for CPU   {measurement.net_summary}")
    print(f"    the client's own lateness {summarize(measurement.series.own_lateness)}")


def _print_details(measurement: Measurement) -> None:
    print(f"  {measurement.name} by phase")
    for line in measurement.by_phase():
        print(f"    {line}")
    print(f"  {measurement.name}, the worst")
    for line in measurement.worst():
        print(f"    {line}")


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="stall", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=10, help="rounds of store, replace and delete per server")
    parser.add_argument("--pause", type=float, default=0.0, help="seconds of rest after each step")
    parser.add_argument(
        "--shield",
        action="store_true",
        help="give the server's main thread a high priority: for machines shared with other work (needs root)",
    )
    parser.add_argument("servers", nargs="*", help="names from REDISAI_SERVERS; default: all")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
