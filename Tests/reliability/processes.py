"""What the kernel and the server say of a server process."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from support.resp import OK
from support.server import Server


@dataclass(frozen=True)
class Footprint:
    """Memory in bytes and the number of threads at one moment."""

    rss: int
    used_memory: int
    threads: int

    def __str__(self) -> str:
        return f"RSS {self.rss / 1e6:.1f} MB, used_memory {self.used_memory / 1e6:.3f} MB, {self.threads} threads"


def resident_bytes(pid: int) -> int:
    """0 for a process that has died and not been waited for."""
    return _status_field(pid, "VmRSS") * 1024


def thread_count(pid: int) -> int:
    return _status_field(pid, "Threads")


def thread_names(pid: int) -> Counter[str]:
    """The names of all threads with their numbers at the end cut off, and how often each occurs."""
    names: Counter[str] = Counter()
    for path in Path(f"/proc/{pid}/task").glob("*/comm"):
        try:
            name = path.read_text(encoding="utf-8", errors="replace").strip()
        except (FileNotFoundError, ProcessLookupError):
            # The thread has ended since it was listed.
            continue
        names[name.rstrip("0123456789").rstrip("-:_") or name] += 1
    return names


def settled_thread_names(pid: int, within: float = 10.0) -> Counter[str]:
    """The same once a server that has just been started has named its threads: two equal looks in a row."""
    deadline = time.monotonic() + within
    names = thread_names(pid)
    while time.monotonic() < deadline:
        time.sleep(0.5)
        previous, names = names, thread_names(pid)
        if names == previous:
            break
    return names


def _status_field(pid: int, name: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    return 0


def footprint(server: Server) -> Footprint:
    return Footprint(resident_bytes(server.pid), server.used_memory(), thread_count(server.pid))


def footprint_when_empty(server: Server, within: float = 10.0) -> Footprint:
    """The footprint after FLUSHALL, once background frees have ended: two equal looks at used_memory in a row."""
    with server.raw() as client:
        # What the server itself remembers of commands and scripts is no leak.
        for command in ("FLUSHALL", "SLOWLOG RESET", "CONFIG RESETSTAT", "SCRIPT FLUSH SYNC", "MEMORY PURGE"):
            reply = client.call(*command.split())
            assert reply == OK, (command, reply)
    deadline = time.monotonic() + within
    previous = -1
    while time.monotonic() < deadline:
        time.sleep(0.25)
        current = server.used_memory()
        if abs(current - previous) < 4096:
            break
        previous = current
    return footprint(server)


def slope(points: list[tuple[float, float]]) -> float:
    """The rise of a straight line through the points, by least squares."""
    count = len(points)
    if count < 2:
        return 0.0
    mean_x = sum(x for x, _ in points) / count
    mean_y = sum(y for _, y in points) / count
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread if spread else 0.0
