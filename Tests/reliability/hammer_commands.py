"""All commands at once, under clients that are killed or leave: ``python -m reliability.hammer_commands --help``.

32 clients send random commands, right ones and damaged ones, alone, in transactions and in Lua, on few keys; some kill
others, and some leave in the middle of a request. What comes back may be anything, but something has to come: an
answer to each request, unless its connection was cut on purpose, and a PONG to a PING from outside within a bound. Ends
with status 1 when that is not so, when the server dies, or when memory grows after the warm-up.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Self

from support.resp import OK, Argument, Error, encode_command
from support.server import Server
from support.wait import eventually

from reliability.async_client import AsyncClient
from reliability.command_campaign import post_mortem
from reliability.each_server import campaign_parser, on_each_server
from reliability.engine_clients import Findings
from reliability.engine_models import open_engines
from reliability.engines import Hammering, watch
from reliability.hammer_grammar import HammerGrammar, ModelFile, models_of
from reliability.processes import Footprint, footprint_when_empty
from reliability.workers import WORKERS, Task, worker_pool

CLIENTS = 32
WARM_UP_SHARE = 0.2
MODULE_ARGS = (
    *("THREADS_PER_QUEUE", "2"),
    *("INTRA_OP_PARALLELISM", "1"),
    *("MODEL_CHECK", "NO"),
    *("MODEL_EXECUTION_TIMEOUT", "1000"),
    # What a damaged device name makes has an end.
    *("MAX_DEVICES", "4"),
    # Nor may a damaged number make a tensor whose values take seconds to write, and to read here.
    *("MAX_TENSOR_SIZE", "1000000"),
)
PING_PACE_SECONDS = 0.05
PING_BOUND_SECONDS = 2.0
USED_MEMORY_TOLERANCE_BYTES = 300_000
# Valkey's counter rises once or twice by some hundred kilobytes, though what is allocated is the same: that may come late in a
# short run. By 460,000 bytes at most where that was seen.
FURTHER_PHASES = {"valkey9": 3}
WHOLE_GROWTH_LIMIT_BYTES = 600_000
_CALL_FROM_LUA = "return redis.pcall(unpack(ARGV))"
_LUA_ARGUMENT_LIMIT = 1000


@dataclass(frozen=True)
class CommandTask(Task):
    """The clients store these models."""

    seconds: float
    models: Sequence[ModelFile]


@dataclass
class Tally(Findings):
    """What the clients saw; ``kills`` are the connections that they meant to cut, ``cuts`` those that they lost."""

    kills: int = 0
    cuts: int = 0

    def add(self, other: Self) -> None:
        super().add(other)
        self.kills += other.kills
        self.cuts += other.cuts


def run_worker(task: CommandTask) -> Tally:
    """The body of a worker process."""
    return asyncio.run(_run_clients(task))


async def _run_clients(task: CommandTask) -> Tally:
    tally = Tally()
    until = time.monotonic() + task.seconds
    # The identifiers that the server has given to the connections of this worker.
    identifiers: dict[int, int] = {}
    clients = [_Client(task, task.worker * 1000 + number, identifiers, tally) for number in range(task.clients)]
    for outcome in await asyncio.gather(*(client.run(until) for client in clients), return_exceptions=True):
        if isinstance(outcome, BaseException):
            tally.note_problem(f"a client ended early: {outcome!r}")
    return tally


class _Client:
    """Sends commands over one connection after the other."""

    def __init__(self, task: CommandTask, identity: int, identifiers: dict[int, int], tally: Tally) -> None:
        self._port = task.port
        self._identity = identity
        self._random = Random(f"{task.seed}:{identity}")
        self._grammar = HammerGrammar(self._random, task.models)
        self._identifiers = identifiers
        self._tally = tally
        self._client: AsyncClient

    async def run(self, until: float) -> None:
        while time.monotonic() < until:
            try:
                self._client = await AsyncClient.connect(self._port)
                self._identifiers[self._identity] = await self._client.call("CLIENT", "ID")
                await self._use(until)
            except (ConnectionError, asyncio.IncompleteReadError):
                self._tally.cuts += 1
            finally:
                self._identifiers.pop(self._identity, None)
                self._client.close()

    async def _use(self, until: float) -> None:
        """Until it leaves by itself or its connection is cut."""
        while time.monotonic() < until:
            share = self._random.random()
            if share < 0.002:
                await self._kill()
            elif share < 0.005:
                await self._leave()
                return
            else:
                await self._exchange(self._commands(share))

    def _commands(self, share: float) -> list[Sequence[Argument]]:
        """Some commands in one write."""
        commands = [self._grammar.command() for _ in range(self._random.choice((1, 1, 2, 5, 12)))]
        if share < 0.05:
            return [["MULTI"], *commands, [self._random.choice(("EXEC", "EXEC", "DISCARD"))]]
        if share < 0.08:
            return [["EVAL", _CALL_FROM_LUA, 0, *c] if len(c) < _LUA_ARGUMENT_LIMIT else c for c in commands]
        return list(commands)

    async def _exchange(self, commands: list[Sequence[Argument]]) -> None:
        try:
            replies = await self._client.pipeline(commands)
        except TimeoutError:
            names = [" ".join(repr(word)[:40] for word in command[:12]) for command in commands]
            self._tally.note_problem(f"no answer in time to one of {names}")
            raise ConnectionError from None
        for command, reply in zip(commands, replies):
            self._note(command, reply)

    def _note(self, command: Sequence[Argument], reply: Any) -> None:
        name = command[0].decode("ascii", "replace").upper() if isinstance(command[0], bytes) else command[0]
        if isinstance(reply, Error):
            self._tally.errors[reply.text[:60]] += 1
            if not reply.text.strip():
                self._tally.note_problem(f"an error without text, to {name}")
        self._tally.operations[f"{name} {'refused' if isinstance(reply, Error) else 'answered'}"] += 1

    async def _kill(self) -> None:
        """Another connection or its own, perhaps in the middle of a run."""
        target = self._random.choice(list(self._identifiers.values()))
        commands = [["CLIENT", "KILL", "ID", target]]
        if self._random.random() < 0.5:
            # Something that is under way when its connection goes.
            commands.insert(0, self._grammar.command())
        # The kill counts before its answer, which may not come.
        self._tally.kills += 1
        await self._exchange(commands)

    async def _leave(self) -> None:
        data = b"".join(encode_command(*self._grammar.command()) for _ in range(3))
        if self._random.random() < 0.6:
            data = data[: self._random.randrange(len(data))]
        await self._client.send_and_leave(data, reset=self._random.random() < 0.5)
        self._tally.operations["left in the middle"] += 1


class Pinger:
    """Pings from a thread of its own until it is stopped."""

    def __init__(self, server: Server) -> None:
        self.seconds: list[float] = []
        self.trouble: str | None = None
        self._server = server
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Pinger:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            with self._server.raw(timeout=10 * PING_BOUND_SECONDS) as raw:
                while not self._stop.wait(PING_PACE_SECONDS):
                    start = time.monotonic()
                    raw.call("PING")
                    self.seconds.append(time.monotonic() - start)
        except Exception as error:  # noqa: BLE001 - whatever it is, the campaign has to know
            self.trouble = f"PING from outside: {error!r}"

    def problems(self) -> list[str]:
        problems = [self.trouble] if self.trouble else []
        if self.seconds and max(self.seconds) > PING_BOUND_SECONDS:
            problems.append(f"a PING from outside took {max(self.seconds):.2f} s")
        return problems

    def __str__(self) -> str:
        ordered = sorted(self.seconds) or [0.0]
        p99 = ordered[int(len(ordered) * 0.99)]
        return (
            f"{len(self.seconds):,} pings from outside: median {statistics.median(ordered) * 1e3:.1f} ms, "
            f"p99 {p99 * 1e3:.1f} ms, longest {ordered[-1] * 1e3:.1f} ms"
        )


@dataclass
class CommandHammering:
    """The measurements of one server."""

    tally: Tally = field(default_factory=Tally)
    watched: Hammering = field(default_factory=Hammering)
    # After the warm-up and at the end.
    footprints: list[Footprint] = field(default_factory=list)
    pings: str = ""
    problems: list[str] = field(default_factory=list)


def hammer_commands(
    server: Server, engines: Sequence[str], seed: str, seconds: float, clients: int = CLIENTS, report: bool = False
) -> CommandHammering:
    """Runs the clients twice: to warm up, and to be watched; and on Valkey again for a while as long as used_memory has grown:
    what a leak takes grows each time, and what the server takes once does not."""
    hammering = CommandHammering()
    further = [WARM_UP_SHARE] * FURTHER_PHASES.get(server.kind, 0)
    with server.raw(timeout=120) as raw:
        open_engines(raw, engines)
    models = models_of(engines)
    with Pinger(server) as pinger:
        for phase, share in enumerate((WARM_UP_SHARE, 1 - WARM_UP_SHARE, *further)):
            if phase >= 2 and not _has_grown(hammering):
                break
            _run_phase(server, hammering, models, f"{seed}:{phase}", seconds * share, clients, report)
            if not server.responsive(timeout=20):
                hammering.problems.append(post_mortem(server))
                return hammering
            hammering.problems += _left_behind(server)
            hammering.footprints.append(footprint_when_empty(server))
    hammering.pings = str(pinger)
    hammering.problems += pinger.problems() + judge(hammering)
    return hammering


def _run_phase(
    server: Server,
    hammering: CommandHammering,
    models: Sequence[ModelFile],
    seed: str,
    seconds: float,
    clients: int,
    report: bool,
) -> None:
    hammering.watched = Hammering()
    tasks = [CommandTask(server.port, seed, worker, clients // WORKERS, seconds, models) for worker in range(WORKERS)]
    with worker_pool() as pool:
        results = pool.map_async(run_worker, tasks)
        watch(server, hammering.watched, results, seconds, report)
        if not results.ready():
            hammering.problems.append(f"the clients did not end within {2 * seconds + 120:.0f} s")
            return
        for tally in results.get():
            hammering.tally.add(tally)


def _left_behind(server: Server) -> list[str]:
    """After a while nobody waits, nothing is queued, and only the pings are connected besides the one who asks."""
    try:
        eventually(lambda: server.info("clients")["blocked_clients"] == "0", "no blocked clients", timeout=30)
        eventually(lambda: not _waiting(server), "empty queues", timeout=30)
        eventually(lambda: int(server.info("clients")["connected_clients"]) <= 2, "no clients", timeout=30)
        with server.raw() as raw:
            assert raw.call("FLUSHALL") == OK
            eventually(lambda: raw.call("AI._MODELSCAN") == raw.call("AI._SCRIPTSCAN") == [], "nothing after FLUSHALL")
    except AssertionError as error:
        return [str(error)]
    return []


def _waiting(server: Server) -> dict[str, str]:
    """Fields of INFO that still count requests or bytes in queues."""
    fields = server.info("modules").items()
    return {name: value for name, value in fields if "_waiting_" in name and value != "0"}


def judge(hammering: CommandHammering) -> list[str]:
    """What is wrong with the whole."""
    tally = hammering.tally
    problems = list(tally.problems) + hammering.watched.growth()
    if not tally.operations:
        problems.append("no command was answered")
    if tally.cuts > tally.kills:
        problems.append(f"{tally.cuts} connections were cut, {tally.kills} on purpose")
    if _has_grown(hammering):
        problems.append(f"used_memory does not come back: {' -> '.join(map(str, hammering.footprints))}")
    return problems


def _has_grown(hammering: CommandHammering) -> bool:
    """Whether the last phase has left more memory in use than the one before, or all together have left much."""
    first, *_, before, after = [hammering.footprints[0], *hammering.footprints]
    growth, whole = after.used_memory - before.used_memory, after.used_memory - first.used_memory
    return growth > USED_MEMORY_TOLERANCE_BYTES or whole > WHOLE_GROWTH_LIMIT_BYTES


def main() -> int:
    options = _parse_arguments()
    print(f"seed {options.seed}, {', '.join(options.engines)}, {CLIENTS} clients, {options.seconds} s")

    def campaign(server: Server) -> list[str]:
        hammering = hammer_commands(server, options.engines, options.seed, options.seconds, report=True)
        report_hammering(hammering)
        return hammering.problems

    lifetime = 2 * options.seconds + 900
    return on_each_server("all commands", options.servers, campaign, module_args=MODULE_ARGS, lifetime=lifetime)


def report_hammering(hammering: CommandHammering) -> None:
    tally, watched = hammering.tally, hammering.watched
    for name, number in tally.operations.most_common(60):
        print(f"  {name:36} {number:>9,}")
    print(f"  {tally.operations.total():,} commands; {tally.kills:,} kills, {tally.cuts:,} connections cut by them")
    print(f"  {len(tally.errors)} different errors, of which the most frequent are")
    for text, number in tally.errors.most_common(25):
        print(f"  {number:>9,} x {text}")
    print(f"  {hammering.pings}")
    for label, footprint in zip(("warm-up", "end"), hammering.footprints):
        print(f"  empty after the {label}: {footprint}")
    if watched.samples:
        print(
            f"  after the warm-up RSS rises by {watched.rss_slope():,.0f} bytes per second, "
            f"used_memory by {watched.used_memory_slope():,.0f}"
        )


def _parse_arguments() -> argparse.Namespace:
    parser = campaign_parser("hammer_commands", __doc__)
    parser.add_argument("--seconds", type=float, default=1800, help="duration per server")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
