"""Measures what a client feels while others work: PING at a fixed pace, whether or not earlier ones have been answered.

The pace does not depend on the answers, so a server that stalls for 10 ms is felt by all ten pings of that time. As the
client never waits for the server, any lateness in sending is its own: it is reported by itself.

On a machine with other work the server may be ready and not get a processor. The kernel counts that time, so that every
ping is known with and without it.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

ANSWER_TIMEOUT_SECONDS = 30
_PING = b"PING\r\n"
_PONG = b"+PONG\r\n"


@dataclass(frozen=True, slots=True)
class Ping:
    """Moments in nanoseconds of the monotonic clock, which all processes share."""

    sent: int
    done: int
    # For how long the server's main thread has been ready without a processor since (or shortly before) the sending.
    starved: int

    @property
    def milliseconds(self) -> float:
        return (self.done - self.sent) / 1e6

    @property
    def net_milliseconds(self) -> float:
        """Without the time that the server did not get a processor."""
        return max(0.0, (self.done - self.sent - self.starved) / 1e6)


@dataclass
class Pings:
    """A series of pings, and by how many milliseconds the client itself was late for each of them."""

    pings: list[Ping] = field(default_factory=list)
    own_lateness: list[float] = field(default_factory=list)


def measure(pid: int, socket_path: str, pace_ms: float, finished: Callable[[], bool]) -> Pings:
    """Pings the server process over a unix socket until ``finished``."""
    with socket.socket(socket.AF_UNIX) as connection, RunDelay(pid) as run_delay, preferred_by_scheduler():
        connection.connect(socket_path)
        return _Pinger(connection, run_delay, int(pace_ms * 1e6)).run(finished)


class _Pinger:
    """Sends on time, reads when there is something to read."""

    def __init__(self, connection: socket.socket, run_delay: RunDelay, pace: int) -> None:
        self._connection = connection
        self._run_delay = run_delay
        self._pace = pace
        self._series = Pings()
        # When the pings without an answer were sent and the run delay then; what has been read of the next answer.
        self._waiting: deque[tuple[int, int]] = deque()
        self._partial = b""

    def run(self, finished: Callable[[], bool]) -> Pings:
        due = time.perf_counter_ns() + self._pace
        while not finished():
            self._read_until(due)
            sent = time.perf_counter_ns()
            self._series.own_lateness.append((sent - due) / 1e6)
            self._waiting.append((sent, self._run_delay.nanoseconds()))
            self._connection.sendall(_PING)
            # A client that overslept does not send what it has missed.
            due = max(due, sent - self._pace) + self._pace
        while self._waiting:
            self._read_until(time.perf_counter_ns() + ANSWER_TIMEOUT_SECONDS * 10**9)
        return self._series

    def _read_until(self, due: int) -> None:
        """Reads answers until the moment has come, or there is nothing left to wait for at the end."""
        while (delay := due - time.perf_counter_ns()) > 0:
            if not select.select([self._connection], [], [], delay / 1e9)[0]:
                assert delay < 10**9, f"no answer to PING for {ANSWER_TIMEOUT_SECONDS} s"
                return
            data = self._partial + self._connection.recv(65536)
            # A client that did not get a processor when it was due cannot tell how long the answer has been there.
            done = min(time.perf_counter_ns(), due)
            answers, rest = divmod(len(data), len(_PONG))
            assert data.startswith(_PONG * answers), data[:100]
            self._partial = data[len(data) - rest :]
            delay_now = self._run_delay.nanoseconds()
            for _ in range(answers):
                sent, delay_then = self._waiting.popleft()
                self._series.pings.append(Ping(sent, done, delay_now - delay_then))
            if not self._waiting and delay > 10**9:
                return


@contextlib.contextmanager
def preferred_by_scheduler() -> Iterator[None]:
    """Puts the caller before all ordinary processes, where that is allowed: it only sleeps and sends."""
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    except OSError:
        yield
        return
    try:
        yield
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


class RunDelay:
    """For how long a process's first thread has been ready to run without a processor, as the kernel counts it."""

    def __init__(self, pid: int) -> None:
        self._file = os.open(f"/proc/{pid}/task/{pid}/schedstat", os.O_RDONLY)

    def __enter__(self) -> RunDelay:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._file)

    def nanoseconds(self) -> int:
        return int(os.pread(self._file, 128, 0).split()[1])


@dataclass(frozen=True)
class Summary:
    """Percentiles in milliseconds."""

    count: int
    p50: float
    p99: float
    p999: float
    maximum: float

    def __str__(self) -> str:
        return (
            f"{self.count:>7,} pings  p50 {self.p50:7.3f}  p99 {self.p99:7.3f}  p99.9 {self.p999:7.3f}"
            f"  max {self.maximum:7.3f} ms"
        )


def summarize(values: Sequence[float]) -> Summary:
    ordered = sorted(values)

    def percentile(share: float) -> float:
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))]

    return Summary(len(ordered), percentile(0.5), percentile(0.99), percentile(0.999), ordered[-1])
