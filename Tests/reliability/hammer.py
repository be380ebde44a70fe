"""Many clients at once, some of which leave in the middle: ``python -m reliability.hammer --help``.

Three times the same: the first warms caches up, the others are compared. Ends with status 1 when an answer is wrong or
missing, the server dies, or memory or threads do not come back.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections import Counter
from dataclasses import dataclass, field

from support.resp import OK
from support.server import Server
from support.wait import eventually

from reliability.command_campaign import post_mortem
from reliability.each_server import campaign_parser, on_each_server
from reliability.hammer_clients import HammerClient, LeavingClient, set_up_commands
from reliability.processes import Footprint, footprint_when_empty
from reliability.workers import WORKERS, Task, worker_pool

CLIENTS = 64
LEAVING_CLIENTS = 8
USED_MEMORY_TOLERANCE = 0.01
# The C library's arenas and freed pages come and go by some 10 MB; a leak of 200 bytes per command is more than this.
RSS_TOLERANCE_BYTES = 16_000_000


@dataclass(frozen=True)
class HammerTask(Task):
    """So many more clients leave in the middle."""

    leaving: int
    seconds: float


@dataclass
class Result:
    """What the clients did and what went wrong."""

    tally: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)


def run_worker(task: HammerTask) -> Result:
    """The body of a worker process."""
    return asyncio.run(_run_clients(task))


async def _run_clients(task: HammerTask) -> Result:
    result = Result()
    until = time.monotonic() + task.seconds
    first = task.worker * 1000
    clients = [HammerClient(task.port, first + i, task.seed, result.tally) for i in range(task.clients)]
    leaving = [LeavingClient(task.port, first + i, task.seed, result.tally) for i in range(task.leaving)]
    runs = [client.run(until) for client in (*clients, *leaving)]
    for outcome in await asyncio.gather(*runs, return_exceptions=True):
        if isinstance(outcome, BaseException):
            result.problems.append(repr(outcome)[:1000])
    return result


@dataclass
class Hammering:
    """The measurements of one server."""

    tally: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    # After the warm-up, after the first half, after the second.
    footprints: list[Footprint] = field(default_factory=list)


def hammer(server: Server, seed: str, seconds: float, clients: int = CLIENTS) -> Hammering:
    """Runs the clients three times, for a fifth and twice two fifths of the time."""
    hammering = Hammering()
    with worker_pool() as pool:
        for phase, share in enumerate((0.2, 0.4, 0.4)):
            _set_up(server)
            counts = (clients // WORKERS, LEAVING_CLIENTS // WORKERS)
            tasks = [
                HammerTask(server.port, f"{seed}:{phase}", worker, *counts, seconds * share)
                for worker in range(WORKERS)
            ]
            for result in pool.map(run_worker, tasks):
                hammering.tally += result.tally
                hammering.problems += result.problems
            if not server.responsive(timeout=20):
                hammering.problems.append(post_mortem(server))
                return hammering
            hammering.problems += _left_behind(server)
            hammering.footprints.append(footprint_when_empty(server))
    hammering.problems += _growth(hammering.footprints)
    return hammering


def _set_up(server: Server) -> None:
    with server.raw() as client:
        assert client.call("FLUSHALL") == OK
        for command in set_up_commands():
            assert client.call(*command) == OK


def _left_behind(server: Server) -> list[str]:
    """After a while nobody waits and nobody is connected; after FLUSHALL there is no model either."""
    problems = []
    try:
        eventually(lambda: server.info("clients")["blocked_clients"] == "0", "no blocked clients")
        eventually(lambda: server.info("clients")["connected_clients"] == "1", "no clients")
        with server.raw() as client:
            client.call("FLUSHALL")
            eventually(lambda: client.call("AI._MODELSCAN") == [], "no models after FLUSHALL")
    except AssertionError as error:
        problems.append(str(error))
    return problems


def _growth(footprints: list[Footprint]) -> list[str]:
    start, middle, end = footprints
    problems = []
    if abs(end.used_memory - start.used_memory) > start.used_memory * USED_MEMORY_TOLERANCE:
        problems.append(f"used_memory is not back: {start} -> {end}")
    if end.rss > middle.rss + RSS_TOLERANCE_BYTES:
        problems.append(f"RSS grows in the second half: {middle} -> {end}")
    if end.threads != start.threads:
        problems.append(f"the number of threads changes: {start} -> {end}")
    return problems


def main() -> int:
    options = _parse_arguments()
    print(f"seed {options.seed}, {CLIENTS} clients and {LEAVING_CLIENTS} that leave, {options.seconds} s per server")

    def campaign(server: Server) -> list[str]:
        hammering = hammer(server, options.seed, options.seconds)
        for name, number in sorted(hammering.tally.items()):
            print(f"  {name:22} {number:>9,}")
        for label, footprint in zip(("warm-up", "first half", "second half"), hammering.footprints):
            print(f"  empty after the {label}: {footprint}")
        return hammering.problems

    return on_each_server("hammer", options.servers, campaign, lifetime=options.seconds + 600)


def _parse_arguments() -> argparse.Namespace:
    parser = campaign_parser("hammer", __doc__, engines=False)
    parser.add_argument("--seconds", type=float, default=60, help="duration per server")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
