"""The clients of the replication campaign: pipelines of commands on keys that all share, sent to whoever is the primary."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

import numpy as np

from support import onnx_models
from support.commands import execute_command, store_command
from support.resp import Argument, ConnectionClosed, Error
from support.scripts import entry_point, script_command, store_script_command

from reliability.async_client import AsyncClient
from reliability.workers import WorkerResult

KEY_COUNT = 300
MODEL_COUNT = 6
SCRIPT_COUNT = 2
_PRIMARY_SECONDS = 30.0
_ADDERS = tuple(onnx_models.add_constant(float(constant)) for constant in (1, 2, 3))
_NON_ZERO = onnx_models.non_zero()
_LOOP = onnx_models.counting_loop()
_SCRIPT = entry_point("note", 'redis.execute("SET", keys[0], args[0])', "return tensors[0] * 2.0")
# Keys are everybody's: what one client has just deleted or replaced another one asks for.
_EXPECTED_ERRORS = (
    "ERR tensor key is empty",
    "ERR model key is empty",
    "ERR script key is empty",
    "ERR no such key",
    "ERR source and destination objects are the same",
    "ERR model is broken",
    # Shapes that do not fit, and what the engine says of them.
    "ERR Number of",
    "ERR unexpected",
    "ERR Error",
    "ERR Non-zero status",
    "ERR [ONNXRuntimeError]",
)
# What clients hear while the primary changes.
_FAILOVER_ERRORS = ("READONLY", "UNBLOCKED", "TRYAGAIN", "LOADING", "MASTERDOWN", "REDIRECT", "EXECABORT")


@dataclass(frozen=True)
class ReplicationTask:
    """So many commands, by the clients of one process, to the primary among the servers on ``ports``."""

    ports: tuple[int, ...]
    seed: str
    worker: int
    clients: int
    commands: int
    engines: frozenset[str]


@dataclass
class ReplicationResult(WorkerResult):
    """What was sent, by command, and how often the primary was lost."""

    tally: Counter[str] = field(default_factory=Counter)
    reconnections: int = 0

    def add(self, other: ReplicationResult) -> None:
        super().add(other)
        self.tally += other.tally
        self.reconnections += other.reconnections


def set_up_commands(engines: frozenset[str]) -> list[list[Argument]]:
    """What has to be there before the clients start."""
    commands = [store_command(f"m{number}", _ADDERS[number % 3]) for number in range(MODEL_COUNT)]
    commands += [store_command("zero", _NON_ZERO), store_command("loop", _LOOP)]
    commands += [["AI.TENSORSET", "n", "INT64", 1, "VALUES", 50], ["AI.TENSORSET", "x", "FLOAT", 1, "VALUES", 0]]
    if "torch" in engines:
        commands += [store_script_command(f"f{number}", _SCRIPT, "note") for number in range(SCRIPT_COUNT)]
    return commands


def run_worker(task: ReplicationTask) -> ReplicationResult:
    """The body of a worker process."""
    return asyncio.run(_run_clients(task))


async def _run_clients(task: ReplicationTask) -> ReplicationResult:
    result = ReplicationResult()
    share = task.commands // task.clients
    clients = [SharingClient(task, f"{task.seed}:{task.worker}:{number}", result) for number in range(task.clients)]
    for outcome in await asyncio.gather(*(client.run(share) for client in clients), return_exceptions=True):
        if isinstance(outcome, BaseException):
            result.note_problem(repr(outcome))
    return result


class SharingClient:
    """One connection to the primary, whoever that is."""

    def __init__(self, task: ReplicationTask, seed: str, result: ReplicationResult) -> None:
        self._ports = task.ports
        self._random = Random(seed)
        self._result = result
        self._client: AsyncClient | None = None
        self._makers: list[Callable[[], list[Argument]]] = [
            *[self._set_tensor] * 12,
            *[self._run_model] * 12,
            *[self._run_graph] * 4,
            *[self._run_for_nothing] * 2,
            self._run_loop,
            *[self._delete] * 2,
            self._rename,
            self._copy,
            *[self._expire] * 2,
            self._set_string,
        ]
        self._stores: list[Callable[[], list[Argument]]] = [self._store_model] * 4 + [self._delete_model]
        if "torch" in task.engines:
            self._makers.append(self._run_script)
            self._stores.append(self._store_script)

    async def run(self, commands: int) -> None:
        """Sends so many commands; those whose answers are lost with the primary count."""
        sent = 0
        while sent < commands:
            pipeline = self._pipeline()
            sent += len(pipeline)
            try:
                client = await self._connected()
                for command, reply in zip(pipeline, await client.pipeline(pipeline), strict=True):
                    self._judge(command, reply)
            except (ConnectionClosed, OSError, EOFError) as error:
                if isinstance(error, TimeoutError):
                    raise
                self._drop()
        self._drop()

    def _judge(self, command: list[Argument], reply: Any) -> None:
        self._result.tally[str(command[0])] += 1
        for part in reply if isinstance(reply, list) else [reply]:
            if not isinstance(part, Error) or part.text.startswith(_EXPECTED_ERRORS):
                continue
            if part.text.startswith(_FAILOVER_ERRORS):
                self._result.tally["refused during the failover"] += 1
                self._drop()
                return
            self._result.note_problem(f"{command!r:.400} -> {part.text!r:.400}")

    def _drop(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    async def _connected(self) -> AsyncClient:
        if self._client is None:
            self._client = await self._find_primary()
            self._result.reconnections += 1
        return self._client

    async def _find_primary(self) -> AsyncClient:
        deadline = time.monotonic() + _PRIMARY_SECONDS
        while time.monotonic() < deadline:
            for port in self._ports:
                try:
                    client = await AsyncClient.connect(port)
                    if (await client.call("ROLE"))[0] == b"master":
                        return client
                    client.close()
                except (ConnectionClosed, OSError, EOFError):
                    continue
            await asyncio.sleep(0.02)
        raise AssertionError(f"no primary for {_PRIMARY_SECONDS:g} s")

    # Commands

    def _pipeline(self) -> list[list[Argument]]:
        if self._random.random() < 0.03:
            return [self._random.choice(self._stores)()]
        commands = [self._random.choice(self._makers)() for _ in range(self._random.randrange(1, 40))]
        if self._random.random() < 0.1:
            sets = [self._set_tensor() if self._random.random() < 0.8 else self._delete() for _ in range(4)]
            return [*commands, ["MULTI"], *sets, ["EXEC"]]
        return commands

    def _key(self) -> str:
        return f"k{self._random.randrange(KEY_COUNT)}"

    def _model(self) -> str:
        return f"m{self._random.randrange(MODEL_COUNT)}"

    def _set_tensor(self) -> list[Argument]:
        key, form = self._key(), self._random.random()
        if form < 0.1:
            return ["AI.TENSORSET", f"{key}:text", "STRING", 2, "VALUES", f"s{self._random.random()}", ""]
        if form < 0.2:
            return ["AI.TENSORSET", f"{key}:other", self._random.choice(("INT8", "UINT16", "DOUBLE")), 2, 2, "VALUES", 1, 2, 3, 4]
        values = np.array([self._random.randrange(1000) for _ in range(4)], dtype=np.float32)
        return ["AI.TENSORSET", key, "FLOAT", *((2, 2) if form < 0.5 else (4,)), "BLOB", values.tobytes()]

    def _run_model(self) -> list[Argument]:
        return execute_command(self._model(), [self._key()], [self._key()])

    def _run_graph(self) -> list[Argument]:
        x, y, z = self._key(), self._key(), self._key()
        command: list[Argument] = ["AI.DAGEXECUTE", "LOAD", 1, x, "PERSIST", 2, y, f"{z}+", "|>"]
        command += ["AI.MODELEXECUTE", self._model(), "INPUTS", 1, x, "OUTPUTS", 1, y, "|>"]
        return [*command, "AI.MODELEXECUTE", self._model(), "INPUTS", 1, y, "OUTPUTS", 1, f"{z}+"]

    def _run_for_nothing(self) -> list[Argument]:
        """An output with a dimension of zero, now and then."""
        return execute_command("zero", [self._key()], [f"zero:{self._key()}"])

    def _run_loop(self) -> list[Argument]:
        return execute_command("loop", ["n", "x"], [f"loop:{self._key()}"])

    def _run_script(self) -> list[Argument]:
        script = f"f{self._random.randrange(SCRIPT_COUNT)}"
        note = f"note:{self._random.randrange(KEY_COUNT)}"
        text = str(self._random.randrange(1000))
        return script_command(script, "note", [self._key()], [self._key()], keys=[note], args=[text])

    def _delete(self) -> list[Argument]:
        return [self._random.choice(("DEL", "UNLINK")), self._key(), self._key()]

    def _rename(self) -> list[Argument]:
        return ["RENAME", self._key(), self._key()]

    def _copy(self) -> list[Argument]:
        return ["COPY", self._key(), self._key(), "REPLACE"]

    def _expire(self) -> list[Argument]:
        return ["PEXPIRE", self._key() + self._random.choice(("", "", ":text", ":string")), self._random.choice((1, 20, 1_000, 10_000_000))]

    def _set_string(self) -> list[Argument]:
        return ["SET", f"{self._key()}:string", self._random.random()]

    def _store_model(self) -> list[Argument]:
        return store_command(
            self._model(), self._random.choice(_ADDERS), "TAG", self._random.randrange(1000), "BATCHSIZE",
            self._random.choice((0, 0, 8)),
        )

    def _delete_model(self) -> list[Argument]:
        return ["AI.MODELDEL", self._model()]

    def _store_script(self) -> list[Argument]:
        # The same program with other words: nothing new has to be tried out, and it is compiled all the same.
        return store_script_command(f"f{self._random.randrange(SCRIPT_COUNT)}", _SCRIPT, "note")
