"""What the clients of the campaign over all engines do. Every answer is checked against numbers computed here."""

from __future__ import annotations

import asyncio
import functools
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Self

import numpy as np
from support import fraud_models
from support.commands import NO_MODEL, NO_TENSOR, execute_command
from support.resp import OK, Argument, Error, encode_command

from reliability.async_client import REPLY_TIMEOUT_SECONDS, AsyncClient
from reliability.engine_models import ROW_WIDTH, Model, script_call, script_command
from reliability.workers import WorkerResult

TOLERANCE = 1e-5
BATCH_LIMIT = 64
SAMPLES = 4096
SCRIPT_KEY = "script"
SHARED_KEY = "shared"
"""Twice its input in whatever format it was stored last; replaced and deleted all the time."""
LONG_COUNT = 5_000
"""Turns of the loop that leaving clients leave behind."""
_NO_SCRIPT = "ERR script key is empty"


@dataclass(frozen=True)
class Stage:
    """What every client has to know of the models that stay."""

    # What each format stores. The orders are those in which models take and return what the clients know by name.
    fraud: dict[str, Model]
    rows: dict[str, Model]
    pair: dict[str, Model]
    orders: dict[str, list[int]]
    has_scripts: bool

    def set_up_commands(self) -> list[list[Argument]]:
        """Stores all models that stay, and the script."""
        commands = [model.store_command(f"fraud:{name}") for name, model in self.fraud.items()]
        commands += [model.store_command(f"rows:{name}") for name, model in self.rows.items()]
        commands += [model.store_command(f"pair:{name}") for name, model in self.pair.items()]
        return commands + ([script_command(SCRIPT_KEY)] if self.has_scripts else [])


@dataclass
class Findings(WorkerResult):
    """What clients did, the errors they got, expected ones included, and what was wrong."""

    operations: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)

    def add(self, other: Self) -> None:
        super().add(other)
        self.operations += other.operations
        self.errors += other.errors


@functools.cache
def fraud_samples() -> tuple[list[np.ndarray], np.ndarray]:
    """Many transactions and the network's answers; batches are cut from them."""
    samples = fraud_models.samples(SAMPLES)
    return list(samples.values()), fraud_models.answers(**samples)


def tensor_command(key: str, array: np.ndarray) -> list[Argument]:
    return ["AI.TENSORSET", key, "FLOAT", *array.shape, "BLOB", array.tobytes()]


class EngineClient:
    """One client with keys of its own."""

    reply_timeout = REPLY_TIMEOUT_SECONDS

    def __init__(self, port: int, identity: int, seed: str, stage: Stage, findings: Findings) -> None:
        self._port = port
        self._identity = identity
        self._random = Random(f"{seed}:{identity}")
        self._numbers = np.random.default_rng(self._random.getrandbits(32))
        self._stage = stage
        self._findings = findings
        self._counted = 0
        self._client: AsyncClient
        self._second: AsyncClient
        self._behaviours = self._choose_behaviours()

    def _choose_behaviours(self) -> list[Callable[[], Awaitable[str]]]:
        """Each returns what it used; scripts only where there are any.

        Storing is rare: trying a model out takes a processor for a hundred times as long as a run does.
        """
        behaviours = [*[self._fraud] * 80, *[self._rows] * 30, *[self._overwritten_input] * 20, *[self._shared] * 30]
        behaviours += [*[self._tensors] * 20, *[self._look_around] * 5, self._own_model, self._change_shared]
        if self._stage.pair:
            behaviours += [self._pair] * 30
        if self._stage.has_scripts:
            behaviours += [*[self._fraud_in_script] * 50, *[self._tuple_in_script] * 20, self._own_script]
        return behaviours

    async def run(self, until: float) -> None:
        """Behaves in all ways until the moment on the monotonic clock; a wrong answer is noted and does not end it."""
        self._client = await AsyncClient.connect(self._port, self.reply_timeout)
        self._second = await AsyncClient.connect(self._port, self.reply_timeout)
        try:
            while time.monotonic() < until:
                await self._pause(until)
                behaviour = self._random.choice(self._behaviours)
                try:
                    used = await behaviour()
                except TimeoutError:
                    raise TimeoutError(f"no answer in {self.reply_timeout} s: {behaviour.__name__}") from None
                except AssertionError as error:
                    self._findings.note_problem(f"{behaviour.__name__.strip('_')}: {error}")
                else:
                    self._findings.operations[f"{used:12} {behaviour.__name__.strip('_')}"] += 1
        finally:
            self._client.close()
            self._second.close()

    async def _pause(self, until: float) -> None:
        """Waits before each behaviour, to the moment at most; not here."""

    # Building blocks

    def _key(self, name: str) -> str:
        return f"c{self._identity}:{name}"

    def _array(self, rows: int) -> np.ndarray:
        return self._numbers.normal(size=(rows, ROW_WIDTH)).astype(np.float32)

    def _rows_count(self) -> int:
        return self._random.choice((1, 1, 2, self._random.randint(1, BATCH_LIMIT), BATCH_LIMIT))

    def _note(self, reply: Any) -> Any:
        if isinstance(reply, Error):
            self._findings.errors[reply.text[:80]] += 1
        return reply

    async def _call(self, *command: Argument) -> Any:
        return self._note(await self._client.call(*command))

    async def _expect(self, expected: Any, *command: Argument) -> None:
        check(command, await self._call(*command), expected)

    async def _pipeline(self, commands: Sequence[Sequence[Argument]]) -> list[Any]:
        return [self._note(reply) for reply in await self._client.pipeline(commands)]

    async def _expect_values(
        self, inputs: Sequence[np.ndarray], call: Callable[[list[str], list[str]], list[Argument]],
        expected: Sequence[np.ndarray],
    ) -> None:  # fmt: skip
        """Sets the inputs, makes the call and compares all outputs, in one write or one by one."""
        input_keys = [self._key(f"i{index}") for index in range(len(inputs))]
        output_keys = [self._key(f"o{index}") for index in range(len(expected))]
        commands = [tensor_command(key, array) for key, array in zip(input_keys, inputs)]
        commands.append(call(input_keys, output_keys))
        commands += [["AI.TENSORGET", key, "META", "BLOB"] for key in output_keys]
        if self._random.random() < 0.5:
            replies = await self._pipeline(commands)
        else:
            replies = [await self._call(*command) for command in commands]
        outputs = replies[len(inputs) + 1 :]
        for command, reply in zip(commands, replies[: len(inputs) + 1]):
            check(command, reply, OK)
        for command, reply, values in zip(commands[len(inputs) + 1 :], outputs, expected):
            check_values(command, reply, values)

    def _fraud_batch(self, name: str) -> tuple[list[np.ndarray], np.ndarray]:
        """Inputs in the order of the format, and the answers."""
        inputs, answers = fraud_samples()
        count = self._rows_count()
        start = self._random.randrange(SAMPLES - count)
        return [inputs[place][start : start + count] for place in self._stage.orders[name]], answers[
            start : start + count
        ]

    # Behaviours; each returns the engine's format or what else it used

    async def _fraud(self) -> str:
        name = self._random.choice(list(self._stage.fraud))
        inputs, answers = self._fraud_batch(name)
        await self._expect_values(inputs, lambda i, o: execute_command(f"fraud:{name}", i, o), [answers])
        return name

    async def _fraud_in_script(self) -> str:
        """The script runs the model of an engine and counts on a key of the server."""
        name = self._random.choice(list(self._stage.fraud))
        inputs, answers = self._fraud_batch(name)
        counter = self._key("counter")
        call = functools.partial(script_call, SCRIPT_KEY, "through_model", keys=[counter], arguments=[f"fraud:{name}"])
        self._counted += 1
        await self._expect_values(inputs, lambda i, o: call(inputs=i, outputs=o), [answers])
        await self._expect(str(self._counted).encode(), "GET", counter)
        return f"script>{name}"

    async def _tuple_in_script(self) -> str:
        a, b = self._array(4), self._array(4)
        call = functools.partial(script_call, SCRIPT_KEY, "sum_and_difference")
        await self._expect_values([a, b], lambda i, o: call(inputs=i, outputs=o), [a + b, a - b])
        return "script"

    async def _rows(self) -> str:
        name = self._random.choice(list(self._stage.rows))
        x = self._array(self._rows_count())
        await self._expect_values([x], lambda i, o: execute_command(f"rows:{name}", i, o), [x * 2])
        return name

    async def _pair(self) -> str:
        """Two inputs and outputs; a converter may have changed their order, which the stage has found out."""
        name = self._random.choice(list(self._stage.pair))
        count = self._rows_count()
        a, b = self._array(count), self._array(count)
        inputs = [(a, b)[place] for place in self._stage.orders[f"pair inputs:{name}"]]
        expected = [(a + b, a - b)[place] for place in self._stage.orders[f"pair:{name}"]]
        await self._expect_values(inputs, lambda i, o: execute_command(f"pair:{name}", i, o), expected)
        return name

    async def _overwritten_input(self) -> str:
        """Another connection replaces the input meanwhile: the answer is that of one version, whole."""
        name = self._random.choice(list(self._stage.rows))
        old, new, x, y = self._array(BATCH_LIMIT), self._array(BATCH_LIMIT), self._key("x"), self._key("y")
        await self._expect(OK, *tensor_command(x, old))
        running = self._client.call(*execute_command(f"rows:{name}", [x], [y]))
        replies = await asyncio.gather(running, self._second.call(*tensor_command(x, new)))
        assert [self._note(reply) for reply in replies] == [OK, OK], replies
        found = await self._call("AI.TENSORGET", y, "BLOB")
        assert found in ((old * 2).tobytes(), (new * 2).tobytes()), "neither version's answer"
        await self._expect(new.tobytes(), "AI.TENSORGET", x, "BLOB")
        return name

    async def _tensors(self) -> str:
        """Set, read, delete and miss a tensor, several times in one write."""
        key, first, second = self._key("t"), self._array(BATCH_LIMIT), self._array(1)
        read = ["AI.TENSORGET", key, "BLOB"]
        commands = [tensor_command(key, first), read, tensor_command(key, second), read, ["DEL", key], read]
        expected = [OK, first.tobytes(), OK, second.tobytes(), 1, NO_TENSOR]
        for command, reply, wanted in zip(commands, await self._pipeline(commands), expected):
            check(command, reply, wanted)
        return "tensors"

    async def _own_model(self) -> str:
        """Store, run, replace by another engine's, run, delete, miss."""
        key, x = self._key("model"), self._array(2)
        names = self._random.sample(list(self._stage.rows), min(2, len(self._stage.rows)))
        for name in names:
            await self._expect(OK, *self._stage.rows[name].store_command(key))
            await self._expect_values([x], lambda i, o: execute_command(key, i, o), [x * 2])
        await self._expect(OK, "AI.MODELDEL", key)
        await self._expect(NO_MODEL, *execute_command(key, [self._key("i0")], [self._key("o0")]))
        return names[-1]

    async def _own_script(self) -> str:
        """Store, run, delete, miss."""
        key, x, turns = self._key("script"), self._array(1), self._random.randint(1, 100)
        await self._expect(OK, *script_command(key))
        call = functools.partial(script_call, key, "count", arguments=[turns])
        expected = np.full_like(x, turns)
        await self._expect_values([x], lambda i, o: call(inputs=i, outputs=o), [expected])
        await self._expect(OK, "AI.SCRIPTDEL", key)
        reply = await self._call(*call(inputs=[self._key("i0")], outputs=[self._key("o0")]))
        assert isinstance(reply, Error) and reply.text == _NO_SCRIPT, reply
        return "script"

    async def _shared(self) -> str:
        """Runs the model that others replace and delete: one version of it or none."""
        x, input_key, output_key = self._array(BATCH_LIMIT), self._key("sx"), self._key("sy")
        await self._expect(OK, *tensor_command(input_key, x))
        reply = await self._call(*execute_command(SHARED_KEY, [input_key], [output_key]))
        if reply != NO_MODEL:
            check(("run of the shared model",), reply, OK)
            await self._expect((x * 2).tobytes(), "AI.TENSORGET", output_key, "BLOB")
        return "shared"

    async def _change_shared(self) -> str:
        if self._random.random() < 0.3:
            reply = await self._call("AI.MODELDEL", SHARED_KEY)
            assert reply in (OK, NO_MODEL), reply
        name = self._random.choice(list(self._stage.rows))
        await self._expect(OK, *self._stage.rows[name].store_command(SHARED_KEY))
        return name

    async def _look_around(self) -> str:
        """What monitoring asks for; no model that stays has failed, and its bytes are what was stored."""
        name = self._random.choice(list(self._stage.fraud))
        reply = await self._call("AI.INFO", f"fraud:{name}")
        assert reply[:4] == [b"key", f"fraud:{name}".encode(), b"type", b"MODEL"] and reply[-1] == 0, reply
        await self._expect(self._stage.fraud[name].blob, "AI.MODELGET", f"fraud:{name}", "BLOB")
        assert len(await self._call("AI._MODELSCAN")) >= len(self._stage.fraud)
        assert b"ai_RedisAI_version" in await self._call("INFO", "modules")
        return name


class LeavingEngineClient:
    """Comes, sends runs, stores or half of one, and goes without waiting for the answer."""

    def __init__(self, port: int, identity: int, seed: str, stage: Stage, findings: Findings) -> None:
        self._port = port
        self._identity = identity
        self._random = Random(f"{seed}:leaving:{identity}")
        self._stage = stage
        self._findings = findings

    async def run(self, until: float) -> None:
        while time.monotonic() < until:
            client = await AsyncClient.connect(self._port)
            await client.send_and_leave(self._something(), reset=self._random.random() < 0.5)
            self._findings.operations["left in the middle"] += 1
            await asyncio.sleep(self._random.random())

    def _something(self) -> bytes:
        commands = [command for name in self._stage.fraud for command in self._run(name)]
        if self._random.random() < 0.05:
            name = self._random.choice(list(self._stage.rows))
            commands += [self._stage.rows[name].store_command(self._key("model")), ["AI.MODELDEL", self._key("model")]]
        data = b"".join(encode_command(*command) for command in commands)
        return data if self._random.random() < 0.6 else data[: self._random.randrange(len(data))]

    def _run(self, name: str) -> list[list[Argument]]:
        """A large batch, and a long loop in a script."""
        inputs, _ = fraud_samples()
        keys = [self._key(f"i{index}") for index in range(len(inputs))]
        arrays = [inputs[place][:BATCH_LIMIT] for place in self._stage.orders[name]]
        commands = [tensor_command(key, array) for key, array in zip(keys, arrays)]
        commands.append(execute_command(f"fraud:{name}", keys, [self._key("o")]))
        if self._stage.has_scripts and self._random.random() < 0.2:
            commands.append(script_call(SCRIPT_KEY, "count", keys[:1], [self._key("o")], arguments=[LONG_COUNT]))
        return commands

    def _key(self, name: str) -> str:
        return f"gone{self._identity}:{name}"


def check(command: Sequence[Argument], reply: Any, expected: Any) -> None:
    if reply != expected:
        raise AssertionError(f"{_shown(command)}: {_text(reply)} instead of {_text(expected)}")


def check_values(command: Sequence[Argument], reply: Any, expected: np.ndarray) -> None:
    """A reply of AI.TENSORGET META BLOB against the numbers."""
    if not isinstance(reply, list):
        raise AssertionError(f"{_shown(command)}: {_text(reply)} instead of a tensor")
    if reply[1] != b"FLOAT" or tuple(reply[3]) != expected.shape:
        raise AssertionError(f"{_shown(command)}: {reply[1]} {reply[3]} instead of FLOAT {expected.shape}")
    difference = np.abs(np.frombuffer(reply[5], np.float32).reshape(expected.shape) - expected).max()
    # Not the other way round: a difference from NaN is no number.
    if not difference <= TOLERANCE:
        raise AssertionError(f"{_shown(command)}: off by {difference}")


def _shown(command: Sequence[Argument]) -> str:
    return " ".join(str(word) if len(str(word)) < 60 else f"({len(str(word))} characters)" for word in command)


def _text(reply: Any) -> str:
    return reply.text[:300] if isinstance(reply, Error) else f"{reply!r:.200}"
