"""Random DAGs against an interpreter of their own: ``python -m reliability.dags --help``.

Graphs over several devices and engines, with names used again, keys loaded and persisted, operations that fail and
commands that are damaged. Every reply is compared with what a naive interpreter says is possible, and so are the keys
afterwards. Ends with status 1 when a reply is another, keys hold something else, or the server dies.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Self

from support.commands import NO_TENSOR, WRONGTYPE
from support.resp import OK, TIMEDOUT, Argument, ConnectionClosed, Error, ProtocolViolation
from support.server import Server

from reliability.command_campaign import post_mortem
from reliability.dag_grammar import DagGrammar, Words
from reliability.dag_interpreter import NA, Interpretation, WrongReply, blob_complaint, interpret, judge
from reliability.dag_models import Runs, set_up_commands
from reliability.dag_parser import Refused, Unsure, parse
from reliability.each_server import campaign_parser, on_each_server
from reliability.engine_models import open_engines
from reliability.expectation import Expectation
from reliability.keyspace import OTHER_TYPE, Keyspace, TensorValue
from reliability.lockstep import Lockstep
from reliability.workers import PROBLEM_LIMIT, WORKERS, Task, WorkerResult, collect

COUNT = 20_000
CONNECTIONS = 32
PIPELINED = 6
"""DAGs per connection in one write, at most."""
NAMES = 7
# More workers per device than one must not make a difference to a DAG.
MODULE_ARGS = ("MODEL_CHECK", "NO", "THREADS_PER_QUEUE", "2")


@dataclass(frozen=True)
class GraphTask(Task):
    """The clients send so many graphs together."""

    count: int
    engines: Sequence[str]


@dataclass
class Result(WorkerResult):
    """What became of the graphs, and what they were made of."""

    graphs: Counter[str] = field(default_factory=Counter)
    operations: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    persisted: int = 0
    seconds: float = 0.0

    def add(self, other: Self) -> None:
        super().add(other)
        self.graphs += other.graphs
        self.operations += other.operations
        self.refusals += other.refusals
        self.persisted += other.persisted


@dataclass
class Verdict:
    """What a command may answer: an interpretation, an expectation of an error, or neither (any array or error)."""

    words: Words
    interpretation: Interpretation | None = None
    refusal: Expectation | None = None
    writes_other_type: bool = False

    @property
    def may_time_out(self) -> bool:
        return self.interpretation is not None and 0 < self.interpretation.graph.timeout < 1000

    @property
    def is_certain(self) -> bool:
        """Whether the keys are known afterwards."""
        if self.refusal is not None:
            return True
        return self.interpretation is not None and not self.may_time_out and not self.writes_other_type

    @property
    def notes(self) -> list[tuple[int, bytes, bytes]]:
        """Operations that set a key of the server, with the key and the text."""
        if self.interpretation is None:
            return []
        operations = enumerate(self.interpretation.graph.operations)
        return [(index, each.keys[0], each.arguments[0]) for index, each in operations if each.keys and each.arguments]


class _Connection:
    """The commands of one connection in one round, and what its keys hold."""

    def __init__(self, prefix: str, random: Random, engines: Sequence[str], runs: Runs, result: Result) -> None:
        self._names = [f"{prefix}:{letter}".encode() for letter in "abcdefghij"[:NAMES]]
        self._other = f"{prefix}:s".encode()
        self._random = random
        self._runs = runs
        self._result = result
        self._keys: Keyspace = {self._other: OTHER_TYPE}
        self._grammar = DagGrammar(random, engines, self._names, self._other, runs)
        self._verdicts: list[Verdict | None] = []
        # What each key may hold after this round, where that is not certain.
        self._perhaps: dict[bytes, TensorValue] | None = {}

    def commands(self) -> list[list[Argument]]:
        """Sets some keys, runs some graphs, and reads all keys."""
        self._verdicts, self._perhaps = [None], {}
        commands: list[list[Argument]] = [["SET", self._other, "text"]]
        for _ in range(PIPELINED):
            if self._random.random() < 0.3:
                commands.append(self._change_key())
                self._verdicts.append(None)
            verdict = self._verdict(self._grammar.command(self._keys))
            commands.append(list(verdict.words))
            self._verdicts.append(verdict)
            for _, key, _ in verdict.notes:
                commands.append(["GET", key])
                self._verdicts.append(None)
            if not verdict.is_certain:
                break
        return commands + [["AI.TENSORGET", key, "META", "BLOB"] for key in self._names]

    def _change_key(self) -> list[Argument]:
        key = self._random.choice(self._names)
        if self._random.random() < 0.15:
            self._keys.pop(key, None)
            return ["DEL", key]
        words = self._grammar.tensor_set(key)
        value = parse([b"AI.DAGRUN", b"|>", *words], {}).operations[0].value
        assert value is not None
        self._keys[key] = value
        return list(words)

    def _verdict(self, words: Words) -> Verdict:
        """Foresees the reply, and what the keys hold after it."""
        try:
            graph = parse(words, self._keys)
        except Refused as refused:
            return Verdict(words, refusal=refused.expectation)
        except Unsure:
            self._perhaps = None
            return Verdict(words)
        verdict = Verdict(words, interpret(graph, self._keys, self._runs))
        assert verdict.interpretation is not None
        persisted = verdict.interpretation.persisted()
        verdict.writes_other_type = self._other in persisted
        if verdict.is_certain:
            self._keys.update(persisted)
        else:
            self._perhaps = {key: value for key, value in persisted.items() if key != self._other}
        return verdict

    def judge(self, replies: list[Any]) -> None:
        waiting: list[tuple[int, bytes, bytes]] = []
        last: Any = None
        for verdict, reply in zip(self._verdicts, replies):
            if verdict is not None:
                last, waiting = reply, verdict.notes
                try:
                    self._judge(verdict, reply)
                except WrongReply as wrong:
                    self._complain(verdict.words, str(wrong))
            elif waiting:
                self._judge_note(waiting.pop(0), last, reply)
        self._judge_keys(replies[len(self._verdicts) :])

    def _judge(self, verdict: Verdict, reply: Any) -> None:
        if verdict.interpretation is None:
            self._judge_refusal(verdict, reply)
            return
        if reply == TIMEDOUT and verdict.may_time_out:
            self._result.graphs["timed out"] += 1
            self._perhaps = {}
            return
        if verdict.writes_other_type and isinstance(reply, list):
            if not reply or reply[-1] != WRONGTYPE:
                raise WrongReply(f"no WRONGTYPE at the end, though a string was to be overwritten: {reply!r:.300}")
            reply = reply[:-1]
        judge(verdict.interpretation, reply)
        self._tally(verdict, reply)
        if verdict.may_time_out and self._perhaps and not verdict.writes_other_type:
            # It did not, so that the keys are known.
            self._keys.update(self._perhaps)
            self._perhaps = {}

    def _judge_refusal(self, verdict: Verdict, reply: Any) -> None:
        if verdict.refusal is None:
            self._result.graphs["not foreseen"] += 1
            if not isinstance(reply, (Error, list)) and reply != TIMEDOUT:
                raise WrongReply(f"neither an array nor an error: {reply!r:.300}")
            return
        self._result.graphs["refused"] += 1
        if complaint := verdict.refusal.complaint(reply):
            raise WrongReply(complaint)
        self._result.refusals[reply.text[:60]] += 1

    def _tally(self, verdict: Verdict, reply: list[Any]) -> None:
        interpretation = verdict.interpretation
        assert interpretation is not None
        self._result.graphs["failed" if interpretation.fails else "ran"] += 1
        self._result.persisted += len(interpretation.persisted())
        if sum(isinstance(element, Error) for element in reply) > 1:
            self._result.graphs["failed on several devices"] += 1
        for operation, element in zip(interpretation.graph.operations, reply):
            shown = element.text if element in (OK, NA) else "error" if isinstance(element, Error) else "tensor"
            self._result.operations[f"{operation.name.decode()} {shown}"] += 1

    def _judge_note(self, note: tuple[int, bytes, bytes], reply: Any, found: Any) -> None:
        """A script that has run has left its text, and one that has not run has not."""
        index, key, text = note
        element = reply[index] if isinstance(reply, list) else None
        allowed = {OK: [text], NA: [None]}.get(element, [text, None]) if not isinstance(element, list) else []
        if found not in allowed:
            self._complain([key], f"a script answers {element}, and its key holds {found!r}")

    def _judge_keys(self, replies: list[Any]) -> None:
        """What is there becomes what is known."""
        for key, reply in zip(self._names, replies, strict=True):
            found = TensorValue(reply[1], tuple(reply[3]), reply[5]) if isinstance(reply, list) else None
            if found is None and reply != NO_TENSOR:
                self._complain([key], f"unreadable: {reply!r:.300}")
            if self._perhaps is not None:
                possible = [self._keys.get(key), *([self._perhaps[key]] if key in self._perhaps else [])]
                if not any(_same(value, found) for value in possible):
                    self._complain([key], f"the key holds {found!r:.300} instead of one of {possible!r:.600}")
            self._keys.pop(key, None)
            if found is not None:
                self._keys[key] = found

    def _complain(self, words: Sequence[bytes], complaint: str) -> None:
        shown = " ".join(repr(word if len(word) <= 60 else word[:60] + b"...")[2:-1] for word in words)
        self._result.note_problem(f"{complaint}\n    {shown}")


def _same(value: Any, found: TensorValue | None) -> bool:
    if value is None or found is None:
        return value is None and found is None
    return (value.dtype, value.dims) == (found.dtype, found.dims) and blob_complaint(value, found.blob) is None


def run_worker(task: GraphTask) -> Result:
    """The body of a worker process."""
    result = Result()
    with Lockstep(task.port, task.clients, (2, 3)) as lockstep, Lockstep(task.port, 1) as probing:
        random = Random(f"{task.seed}:{task.worker}")
        runs = Runs(probing.clients[0], f"probe{task.worker}")
        connections = [
            _Connection(f"{task.worker}:{number}", random, task.engines, runs, result)
            for number in range(task.clients)
        ]
        try:
            while result.graphs.total() + result.wrong < task.count:
                commands = [connection.commands() for connection in connections]
                for connection, replies in zip(connections, lockstep.exchange(commands)):
                    connection.judge(replies)
                if len(result.problems) >= PROBLEM_LIMIT:
                    break
        except (OSError, ConnectionClosed, ProtocolViolation, AssertionError) as error:
            result.note_problem(f"worker {task.worker}: {error!r}")
    return result


def run_dags(server: Server, engines: Sequence[str], seed: str, count: int, connections: int = CONNECTIONS) -> Result:
    """Stores the models and sends about so many graphs."""
    with server.raw(timeout=120) as raw:
        open_engines(raw, engines)
        for command in set_up_commands(engines):
            reply = raw.call(*command)
            assert reply == OK, (command[:4], reply)
    share = math.ceil(count / WORKERS)
    tasks = [GraphTask(server.port, seed, worker, connections // WORKERS, share, engines) for worker in range(WORKERS)]
    result = Result()
    result.seconds = collect(run_worker, tasks, result)
    if not server.responsive(timeout=20):
        result.problems.append(post_mortem(server))
    return result


def main() -> int:
    options = _parse_arguments()
    seed = options.seed
    print(f"seed {seed} (repeat with SEED={seed}), {', '.join(options.engines)}, {options.count:,} graphs")

    def campaign(server: Server) -> list[str]:
        result = run_dags(server, options.engines, seed, options.count)
        report(result)
        return result.problems

    return on_each_server("DAGs", options.servers, campaign, module_args=MODULE_ARGS, lifetime=3 * 3600)


def report(result: Result) -> None:
    for counter in (result.graphs, result.operations):
        for name, number in sorted(counter.items()):
            print(f"  {name:32} {number:>9,}")
    print(f"  {len(result.refusals)} different refusals, {result.persisted:,} keys persisted")
    print(f"  {result.wrong} wrong replies; {result.seconds:.0f} s")


def _parse_arguments() -> argparse.Namespace:
    parser = campaign_parser("dags", __doc__)
    parser.add_argument("--count", type=int, default=COUNT, help="graphs per server")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
