"""Clients of a cluster, each with tensors of its own in every slot: what it reads must be what it last stored."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import redis
from redis.exceptions import ClusterError

from support import onnx_models
from support.commands import execute_command
from support.resp import Argument
from support.scripts import script_command, store_script_command

from reliability.workers import Task, WorkerResult

TIMEOUT_SECONDS = 30.0
# The steps of a loop that takes some milliseconds: its clients are blocked while slots move.
LOOP_STEPS = 1000
SOURCE = """
def add(tensors: List[Tensor], keys: List[str], args: List[str]):
    return tensors[0] + tensors[1]

def count(tensors: List[Tensor], keys: List[str], args: List[str]):
    return torch.tensor([int(str(redis.execute("INCR", keys[0])))])
"""


class PatientClient(redis.RedisCluster):
    """redis-py's own handling of MOVED, ASK and TRYAGAIN, for longer: a slot may be on its way for some tenths of a second,
    and commands with several keys have to wait for all of them."""

    RedisClusterRequestTTL = 200


def key(tag: str, name: str) -> str:
    return f"{{{tag}}}{name}"


def set_up_commands(tag: str) -> list[list[Argument]]:
    """What all clients use in a slot: two models, one of which runs batches, a loop, its length, and a script."""
    model = onnx_models.add_constant(1)
    return [
        ["AI.MODELSTORE", key(tag, "m"), "ONNX", "CPU", "TAG", tag, "BLOB", model],
        ["AI.MODELSTORE", key(tag, "batched"), "ONNX", "CPU", "BATCHSIZE", 8, "BLOB", model],
        ["AI.MODELSTORE", key(tag, "loop"), "ONNX", "CPU", "BLOB", onnx_models.counting_loop()],
        ["AI.TENSORSET", key(tag, "n"), "INT64", 1, "VALUES", LOOP_STEPS],
        store_script_command(key(tag, "s"), SOURCE, "add", "count"),
    ]


@dataclass(frozen=True)
class ClusterTask(Task):
    """The clients work on the slots of these tags, for so many seconds."""

    tags: tuple[str, ...]
    seconds: float


@dataclass
class ClusterResult(WorkerResult):
    """What the clients did, and the values that their keys have at the end."""

    tally: Counter[str] = field(default_factory=Counter)
    values: dict[str, float] = field(default_factory=dict)

    def add(self, other: ClusterResult) -> None:
        super().add(other)
        self.tally += other.tally
        self.values |= other.values


def run_worker(task: ClusterTask) -> ClusterResult:
    """The body of a worker process: a thread for each client."""
    result = ClusterResult()
    until = time.monotonic() + task.seconds
    clients = [ClusterClient(task, task.worker * 1000 + number) for number in range(task.clients)]
    threads = [threading.Thread(target=client.run, args=(until,)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for client in clients:
        result.add(client.result)
    return result


class ClusterClient:
    """One client: it repeats nothing itself, except what redis-py has given up."""

    def __init__(self, task: ClusterTask, number: int) -> None:
        self.result = ClusterResult()
        self._port = task.port
        self._tags = task.tags
        self._random = random.Random(f"{task.seed}:{number}")
        self._name = f"c{number}"
        self._values = self.result.values
        self._counts: Counter[str] = Counter()
        self._next = number % 1000

    def run(self, until: float) -> None:
        client = PatientClient(
            host="127.0.0.1", port=self._port, socket_timeout=TIMEOUT_SECONDS, protocol=2, lib_name=None, lib_version=None
        )
        operations = [
            *[self._set, self._get, self._execute, self._execute_batched] * 3,
            *[self._execute_loop, self._dag, self._dag_of_reads, self._script, self._counting_script] * 2,
            self._store,
        ]
        try:
            while time.monotonic() < until:
                operation = self._random.choice(operations)
                try:
                    operation(client, self._random.choice(self._tags))
                    self.result.tally[operation.__name__.lstrip("_")] += 1
                except (redis.RedisError, AssertionError) as error:
                    self.result.note_problem(f"{self._name} {operation.__name__}: {error!r}")
        finally:
            client.close()

    # Operations

    def _set(self, client: redis.RedisCluster, tag: str) -> None:
        self._next = (self._next + 1) % 1_000_000
        self._call(client, "AI.TENSORSET", self._key(tag, "a"), "FLOAT", 1, "VALUES", self._next)
        self._values[self._key(tag, "a")] = self._next

    def _get(self, client: redis.RedisCluster, tag: str) -> None:
        known = [name for name in map(lambda name: self._key(tag, name), "abcde") if name in self._values]
        for name in known[-2:]:
            self._expect(name, self._call(client, "AI.TENSORGET", name, "VALUES"), self._values[name])

    def _execute(self, client: redis.RedisCluster, tag: str, model: str = "m") -> None:
        source, target = self._source(client, tag), self._key(tag, "b")
        self._acknowledge(self._call(client, *execute_command(key(tag, model), [source], [target])))
        self._values[target] = self._values[source] + 1

    def _execute_batched(self, client: redis.RedisCluster, tag: str) -> None:
        self._execute(client, tag, "batched")

    def _execute_loop(self, client: redis.RedisCluster, tag: str) -> None:
        source, target = self._source(client, tag), self._key(tag, "c")
        command = execute_command(key(tag, "loop"), [key(tag, "n"), source], [target])
        self._acknowledge(self._call(client, *command))
        self._values[target] = self._values[source] + LOOP_STEPS

    def _dag(self, client: redis.RedisCluster, tag: str) -> None:
        source, target = self._source(client, tag), self._key(tag, "d")
        steps = [
            execute_command(key(tag, "m"), [source], ["t"]),
            execute_command(key(tag, "loop"), [key(tag, "n"), "t"], [target]),
            ["AI.TENSORGET", target, "VALUES"],
        ]
        line = ["AI.DAGEXECUTE", "LOAD", 2, source, key(tag, "n"), "PERSIST", 1, target]
        reply = self._call(client, *line, *(word for step in steps for word in ("|>", *step)))
        expected = self._values[source] + 1 + LOOP_STEPS
        assert reply[:2] == [b"OK", b"OK"], reply
        self._expect(target, reply[2], expected)
        self._values[target] = expected

    def _dag_of_reads(self, client: redis.RedisCluster, tag: str) -> None:
        source = self._source(client, tag)
        steps = [execute_command(key(tag, "m"), [source], ["t"]), ["AI.TENSORGET", "t", "VALUES"]]
        line = ["AI.DAGEXECUTE_RO", "LOAD", 1, source]
        reply = self._call(client, *line, *(word for step in steps for word in ("|>", *step)))
        assert reply[0] == b"OK", reply
        self._expect("t", reply[1], self._values[source] + 1)

    def _script(self, client: redis.RedisCluster, tag: str) -> None:
        source, target = self._source(client, tag), self._key(tag, "e")
        self._acknowledge(self._call(client, *script_command(key(tag, "s"), "add", [source, source], [target])))
        self._values[target] = 2 * self._values[source]

    def _counting_script(self, client: redis.RedisCluster, tag: str) -> None:
        """A key that the script itself changes: it counts once, whatever becomes of the output."""
        counter, target = self._key(tag, "count"), self._key(tag, "counted")
        try:
            self._acknowledge(self._call(client, *script_command(key(tag, "s"), "count", [], [target], keys=[counter])))
        except redis.ResponseError as error:
            if "commands of the script have been run" not in str(error):
                raise
            # Told so, because it must not be repeated.
            self.result.tally["scripts cut off"] += 1
            self._counts[counter] += 1
        else:
            self._counts[counter] += 1
            self._values[target] = self._counts[counter]

    def _store(self, client: redis.RedisCluster, tag: str) -> None:
        """A model of its own, under another name each time."""
        model, added = self._key(tag, f"m{self._next}"), self._random.randrange(100)
        blob = onnx_models.add_constant(added)
        self._acknowledge(self._call(client, "AI.MODELSTORE", model, "ONNX", "CPU", "BLOB", blob))
        source, target = self._source(client, tag), self._key(tag, "b")
        self._acknowledge(self._call(client, *execute_command(model, [source], [target])))
        self._values[target] = self._values[source] + added
        self._acknowledge(self._call(client, "AI.MODELDEL", model))

    # Parts

    def _key(self, tag: str, name: str) -> str:
        return key(tag, f"{self._name}:{name}")

    def _source(self, client: redis.RedisCluster, tag: str) -> str:
        name = self._key(tag, "a")
        if name not in self._values:
            self._set(client, tag)
        return name

    def _call(self, client: redis.RedisCluster, *command: Argument) -> Any:
        while True:
            try:
                return client.execute_command(*command)
            except ClusterError as error:
                if "TTL exhausted" not in str(error):
                    raise
                # Every attempt was refused: nothing has been changed.
                self.result.tally["given up by redis-py"] += 1

    @staticmethod
    def _acknowledge(reply: Any) -> None:
        assert reply == b"OK", reply

    @staticmethod
    def _expect(name: str, values: Sequence[bytes], expected: float) -> None:
        assert [float(value) for value in values] == [expected], f"{name} is {values}, not {expected}"
