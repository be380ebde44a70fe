"""Sends damaged commands in pipelines and compares every reply with the oracle.

A *round* starts from an empty database and depends on its seed alone, so that any round can be repeated by itself:
``seed:worker:round`` names it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

from support.resp import OK, QUEUED, Error, RawClient, encode_command

from reliability.command_grammar import MODEL_KEYS, MODELS, OTHER_KEYS, TENSOR_KEYS, Command, Grammar
from reliability.keyspace import OTHER_TYPE
from reliability.oracle import Oracle, Place, is_known_command

BATCHES_PER_ROUND = 20
UNITS_PER_BATCH = 200
ROUND_SIZE = BATCHES_PER_ROUND * UNITS_PER_BATCH
HANG_SECONDS = 20.0
# With the module's MAX_TENSOR_SIZE set to this, sizes beyond the limit are cheap to try.
SIZE_LIMIT = 16384
# Trying every model out in a process of its own costs tens of milliseconds; damaged model files are another campaign.
MODULE_ARGS = (
    "MAX_TENSOR_SIZE",
    str(SIZE_LIMIT),
    "MODEL_CHECK",
    "NO",
    # From Lua, too, whose calls come from no connection.
    "ALLOW_LOADBACKEND",
    "YES",
    "ONNX",
    "redisai_onnxruntime/redisai_onnxruntime.so",
)

_CALL_FROM_LUA = "return redis.pcall(unpack(ARGV))"
_GETKEYS = [b"COMMAND", b"GETKEYS"]
# Lua's stack holds a few thousand arguments.
_LUA_ARGUMENT_LIMIT = 1000


@dataclass(frozen=True)
class Finding:
    """A reply that the contract does not allow."""

    round_name: str
    command: Command
    place: Place
    complaint: str

    def __str__(self) -> str:
        words = " ".join(repr(word if len(word) <= 80 else word[:80] + b"...")[1:] for word in self.command[:24])
        return f"{self.round_name} {self.place.value}: {self.complaint}\n    {words}"


@dataclass
class Tally:
    """What a worker has done."""

    commands: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    succeeded: int = 0
    # Replies that the oracle had foreseen as a success or as a failure.
    decided: int = 0
    findings: list[Finding] = field(default_factory=list)

    @property
    def total(self) -> int:
        return self.commands.total()

    def add(self, other: Tally) -> None:
        self.commands += other.commands
        self.errors += other.errors
        self.succeeded += other.succeeded
        self.decided += other.decided
        self.findings += other.findings


@dataclass(frozen=True)
class _Unit:
    """A few commands on the wire that belong together, and how many replies they have."""

    place: Place
    commands: list[Command]
    wire: list[Command]


class FuzzRound:
    """One round on one database."""

    def __init__(self, port: int, seed: str, database: int, tally: Tally) -> None:
        self.name = seed
        self._port = port
        self._database = database
        self._random = Random(seed)
        self._grammar = Grammar(self._random)
        self._oracle = Oracle(SIZE_LIMIT, MODELS)
        self._tally = tally
        # What is told of a server that dies.
        self.last_units: list[_Unit] = []

    def run(self) -> None:
        with RawClient(self._port, resp=self._random.choice((2, 3)), timeout=HANG_SECONDS) as client:
            self._prepare(client)
            for batch in range(BATCHES_PER_ROUND):
                self._run_batch(client)
                if batch % 5 == 4:
                    self._leave_in_the_middle()
        self._tally.decided += self._oracle.decided

    def last_commands(self) -> Iterator[str]:
        """The commands of the batch that was on its way, as text."""
        for unit in self.last_units:
            for command in unit.wire:
                yield " ".join(repr(word[:120])[1:] for word in command[:40])

    def _prepare(self, client: RawClient) -> None:
        """An empty database but for keys of other types."""
        setup: list[list[Any]] = [["SELECT", self._database], ["FLUSHDB"]]
        setup += [["SET", OTHER_KEYS[0], "text"], ["HSET", OTHER_KEYS[1], "field", "value"]]
        for reply in client.pipeline(setup):
            assert not isinstance(reply, Error), reply
        for key in OTHER_KEYS:
            self._oracle.set_up(key, OTHER_TYPE)
        blobs = list(MODELS)
        for command in [[b"AI.TENSORSET", key, b"FLOAT", b"2"] for key in TENSOR_KEYS] + [
            [b"AI.MODELSTORE", key, b"ONNX", b"CPU", b"BLOB", self._random.choice(blobs)] for key in MODEL_KEYS
        ]:
            self._judge(command, client.call(*command), Place.DIRECT)

    def _run_batch(self, client: RawClient) -> None:
        self.last_units = [self._unit() for _ in range(UNITS_PER_BATCH)]
        client.send_bytes(b"".join(encode_command(*command) for unit in self.last_units for command in unit.wire))
        for unit in self.last_units:
            self._judge_unit(unit, [client.read() for _ in unit.wire])

    def _unit(self) -> _Unit:
        command = self._grammar.command()
        share = self._random.random()
        if share < 0.90:
            return _Unit(Place.DIRECT, [command], [command])
        if share < 0.94:
            commands = [command, *(self._grammar.command() for _ in range(self._random.randrange(3)))]
            return _Unit(Place.TRANSACTION, commands, [[b"MULTI"], *commands, [b"EXEC"]])
        if share < 0.97 and len(command) < _LUA_ARGUMENT_LIMIT:
            return _Unit(Place.SCRIPT, [command], [[b"EVAL", _CALL_FROM_LUA.encode(), b"0", *command]])
        # What the keys of a damaged command are is its own affair; asking must not harm.
        return _Unit(Place.DIRECT, [], [[*_GETKEYS, *command]])

    def _judge_unit(self, unit: _Unit, replies: list[Any]) -> None:
        if unit.place is not Place.TRANSACTION:
            for command, reply in zip(unit.commands, replies):
                self._judge(command, reply, unit.place)
            return
        results = replies[-1]
        if isinstance(results, Error):
            # The server refuses the whole when it could not queue a command.
            assert any(isinstance(reply, Error) for reply in replies[1:-1]), (unit.commands, replies)
            return
        assert replies[0] == OK and all(reply == QUEUED for reply in replies[1:-1]), replies
        for command, reply in zip(unit.commands, results, strict=True):
            self._judge(command, reply, unit.place)

    def _judge(self, command: Command, reply: Any, place: Place) -> None:
        name = command[0].upper().decode("ascii", "replace") if is_known_command(command[0]) else "other"
        self._tally.commands[name] += 1
        complaint = self._oracle.complaint(command, reply, place)
        if isinstance(reply, Error):
            self._tally.errors[reply.text[:60]] += 1
        else:
            self._tally.succeeded += 1
        if complaint:
            self._tally.findings.append(Finding(self.name, command, place, complaint))

    def _leave_in_the_middle(self) -> None:
        """Another client sends a part of some commands, or noise, and goes without reading."""
        client = RawClient(self._port, timeout=HANG_SECONDS)
        # A database of its own: nobody knows how much of this was carried out.
        data = encode_command("SELECT", self._database + 8)
        data += b"".join(encode_command(*self._grammar.command()) for _ in range(20))
        data = data[: self._random.randrange(len(data))]
        if self._random.random() < 0.3:
            data += self._random.randbytes(200)
        client.send_bytes(data)
        if self._random.random() < 0.5:
            client.abort()
        else:
            client.close()
