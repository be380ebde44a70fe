"""Batched runs answer what runs without others answer: ``python -m reliability.batching --help``.

Many connections send requests for models that are stored with different BATCHSIZE, MINBATCHSIZE and MINBATCHTIMEOUT:
right ones, defective ones, and ones that time out, as commands and as DAGs. Every request has inputs of its own and is
compared with the answer to it alone. Ends with status 1 when an answer is wrong or missing, when AI.INFO has counted
otherwise, when nothing ran together, or when the server dies.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Self

import numpy as np
from support import onnx_models
from support.commands import execute_command, pairs, store_command
from support.resp import OK, Argument, ConnectionClosed, ProtocolViolation
from support.server import Server

from reliability.batching_models import SIZES, Batching, kinds_of, orders_of
from reliability.batching_requests import Outcome, Request, Stored, WrongAnswer
from reliability.command_campaign import post_mortem
from reliability.each_server import campaign_parser, on_each_server
from reliability.engine_models import open_engines
from reliability.lockstep import Lockstep
from reliability.workers import WORKERS, Task, WorkerResult, collect

CONNECTIONS = 64
REQUESTS = 200_000
PIPELINED = 6
"""Requests per connection in one write."""
HOT_MODELS = 3
"""Models in use at a time by the connections of a worker, so that requests for the same one meet."""
SLOW_SHARE = 0.2
"""Of the rounds, in which one connection makes all others wait: so TIMEOUT and long queues happen."""
SLOW_ITERATIONS = 1500
SIZES_IN_USE = (1, 2, 4, 8, 16, 32, 64)
BATCHINGS = (
    *(Batching(size) for size in SIZES_IN_USE),
    *(Batching(size, size // 2, 5) for size in (4, 16, 64)),
    *(Batching(size, size // 2) for size in (2, 8, 32)),
)
MODULE_ARGS = ("MODEL_CHECK", "NO")


@dataclass(frozen=True)
class BatchingTask(Task):
    """The clients send so many rounds of requests."""

    rounds: int
    stored: list[str]
    engines: Sequence[str]


@dataclass
class Counts:
    """What AI.INFO has to say of a model."""

    calls: int = 0
    errors: int = 0
    samples: int = 0


@dataclass
class Result(WorkerResult):
    """What requests came to, by their form and by their model."""

    outcomes: Counter[str] = field(default_factory=Counter)
    forms: Counter[str] = field(default_factory=Counter)
    # By the option BATCHSIZE and the number of rows that ran together.
    batches: dict[int, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    # Requests that ran with others', as the same model tells.
    together: int = 0
    counts: dict[str, Counts] = field(default_factory=lambda: defaultdict(Counts))
    seconds: float = 0.0

    def note(self, request: Request, outcome: Outcome) -> None:
        self.outcomes[outcome.name] += 1
        self.forms[f"{outcome.form}, {outcome.name}"] += 1
        if outcome.batch:
            self.batches[request.stored.batching.size][outcome.batch] += 1
            self.together += outcome.batch > request.rows
        if outcome.name != "timed out":
            counts = self.counts[outcome.key]
            counts.calls += 1
            counts.errors += outcome.name != "answered"
            counts.samples += outcome.samples

    def add(self, other: Self) -> None:
        super().add(other)
        self.outcomes += other.outcomes
        self.forms += other.forms
        for size, batches in other.batches.items():
            self.batches[size] += batches
        self.together += other.together
        for key, counts in other.counts.items():
            own = self.counts[key]
            own.calls, own.errors = own.calls + counts.calls, own.errors + counts.errors
            own.samples += counts.samples


def set_up(server: Server, engines: Sequence[str], batchings: Sequence[Batching]) -> None:
    """Stores every model with every choice of options, and one that is slow."""
    with server.raw(timeout=120) as raw:
        open_engines(raw, engines)
        for kind in kinds_of(engines).values():
            for batching in batchings:
                reply = raw.call(*kind.store_command(batching))
                assert reply == OK, (kind.key(batching), reply)
        for command in _slow_set_up():
            assert raw.call(*command) == OK


def _slow_set_up() -> list[list[Argument]]:
    return [
        store_command("slow", onnx_models.counting_loop()),
        ["AI.TENSORSET", "slow:n", "INT64", 1, "VALUES", SLOW_ITERATIONS],
        ["AI.TENSORSET", "slow:x", "FLOAT", 1, "VALUES", 0],
    ]


def run_worker(task: BatchingTask) -> Result:
    """The body of a worker process."""
    result = Result()
    with Lockstep(task.port, task.clients) as lockstep:
        try:
            _Worker(task, lockstep, result).run()
        except (OSError, ConnectionClosed, ProtocolViolation, AssertionError) as error:
            result.note_problem(f"worker {task.worker}: {error!r}")
    return result


class _Worker:
    """Rounds of requests over some connections."""

    def __init__(self, task: BatchingTask, lockstep: Lockstep, result: Result) -> None:
        self._task = task
        self._lockstep = lockstep
        self._result = result
        self._random = Random(f"{task.seed}:{task.worker}")
        self._numbers = np.random.default_rng(self._random.getrandbits(32))
        self._models = self._known_models()

    def _known_models(self) -> dict[str, list[Stored]]:
        """All stored models by kind."""
        raw, models = self._lockstep.clients[0], defaultdict(list)
        for kind in kinds_of(self._task.engines).values():
            keys = {kind.key(batching): batching for batching in BATCHINGS}
            for key in keys.keys() & set(self._task.stored):
                models[kind.name].append(Stored(kind, keys[key], orders_of(raw, kind, keys[key])))
        return dict(models)

    def run(self) -> None:
        for number in range(self._task.rounds):
            names = self._random.choices(list(self._models), k=HOT_MODELS)
            if number == 0 and SIZES in self._models:
                # Short campaigns see how many run together as well.
                names[0] = SIZES
            self._round([self._random.choice(self._models[name]) for name in names])

    def _round(self, hot: list[Stored]) -> None:
        requests = [self._requests(hot, connection) for connection in range(self._task.clients)]
        commands = [[command for request in own for command in request.commands] for own in requests]
        slow = self._random.random() < SLOW_SHARE
        if slow:
            commands[0].insert(0, execute_command("slow", ["slow:n", "slow:x"], ["slow:y"]))
        replies = self._lockstep.exchange(commands)
        if slow:
            assert replies[0].pop(0) == OK
        for own, answers in zip(requests, replies):
            self._judge(own, answers)

    def _requests(self, hot: list[Stored], connection: int) -> list[Request]:
        prefix = f"w{self._task.worker}:{connection}"
        return [
            Request(self._random.choice(hot), self._random, self._numbers, f"{prefix}:{number}")
            for number in range(PIPELINED)
        ]

    def _judge(self, requests: list[Request], replies: list) -> None:
        start = 0
        for request in requests:
            end = start + len(request.commands)
            try:
                self._result.note(request, request.judge(replies[start:end]))
            except WrongAnswer as wrong:
                self._result.note_problem(str(wrong))
            start = end


def run_batching(
    server: Server,
    engines: Sequence[str],
    seed: str,
    requests: int,
    connections: int = CONNECTIONS,
    batchings: Sequence[Batching] = BATCHINGS,
) -> Result:
    """Stores the models and sends about so many requests."""
    set_up(server, engines, batchings)
    rounds = math.ceil(requests / connections / PIPELINED)
    stored = [kind.key(batching) for kind in kinds_of(engines).values() for batching in batchings]
    tasks = [
        BatchingTask(server.port, seed, worker, connections // WORKERS, rounds, stored, engines)
        for worker in range(WORKERS)
    ]
    result = Result()
    result.seconds = collect(run_worker, tasks, result)
    if not server.responsive(timeout=20):
        result.problems.append(post_mortem(server))
        return result
    result.problems += _judge_whole(server, result, rounds * PIPELINED * connections)
    return result


def _judge_whole(server: Server, result: Result, sent: int) -> list[str]:
    """What no single answer shows."""
    problems = []
    if result.outcomes.total() + result.wrong != sent:
        problems.append(f"{result.outcomes.total()} answers to {sent} requests")
    if result.batches and not result.together:
        problems.append("nothing ran together")
    if not result.wrong:
        problems += _miscounted(server, result)
    return problems


def _miscounted(server: Server, result: Result) -> list[str]:
    """Models of which AI.INFO says otherwise than the answers did."""
    problems = []
    with server.raw() as raw:
        for key, counts in result.counts.items():
            info = pairs(raw.call("AI.INFO", key))
            found = Counts(info["calls"], info["errors"], info["samples"])
            if found != counts:
                problems.append(f"AI.INFO {key}: {found} instead of {counts}")
    return problems


def main() -> int:
    options = _parse_arguments()
    print(
        f"seed {options.seed}, {', '.join(options.engines)}, {options.requests:,} requests "
        f"from {options.connections} connections"
    )

    def campaign(server: Server) -> list[str]:
        result = run_batching(server, options.engines, options.seed, options.requests, options.connections)
        report(result)
        return result.problems

    return on_each_server("batching", options.servers, campaign, module_args=MODULE_ARGS, lifetime=3 * 3600)


def report(result: Result) -> None:
    total = result.outcomes.total() + result.wrong
    print(f"  {total:,} requests in {result.seconds:.0f} s, {result.wrong} wrong or missing answers")
    for name, number in sorted(result.forms.items()):
        print(f"  {name:36} {number:>9,}")
    seen = sum(batches.total() for batches in result.batches.values())
    print(f"  {result.together:,} of {seen:,} requests for the model `sizes` ran with others")
    print("  rows of their runs, by BATCHSIZE:")
    for size, batches in sorted(result.batches.items()):
        shown = ", ".join(f"{rows} x {count:,}" for rows, count in sorted(batches.items())[:12])
        more = f", ... {max(batches)} at most" if len(batches) > 12 else ""
        mean = sum(rows * count for rows, count in batches.items()) / batches.total()
        print(f"  {size:>4}: {mean:5.1f} on average; {shown}{more}")


def _parse_arguments() -> argparse.Namespace:
    parser = campaign_parser("batching", __doc__)
    parser.add_argument("--requests", type=int, default=REQUESTS, help="per server")
    parser.add_argument("--connections", type=int, default=CONNECTIONS)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
