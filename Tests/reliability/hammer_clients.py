"""What the clients of the hammer do. Every answer is checked; a wrong one raises AssertionError."""

from __future__ import annotations

import asyncio
import struct
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from random import Random
from typing import Any

from support import onnx_models
from support.commands import NO_MODEL, NO_TENSOR, execute_command, store_command
from support.resp import OK, Argument, Error, encode_command

from reliability.async_client import AsyncClient

STABLE_MODEL = "stable"
"""``m = a * b``; stored once and never touched."""
SHARED_MODEL = "shared"
"""``y = x + c`` for one of ``CONSTANTS``; stored, replaced and deleted all the time."""
SLOW_MODEL = "slow"
"""Counts to ``slow:n``; what leaving clients leave behind."""
CONSTANTS = (1.0, 2.0, 3.0)
SHARED_TENSORS = ("shared:t0", "shared:t1", "shared:t2")
SLOW_ITERATIONS = 500

_ADDERS = {constant: onnx_models.add_constant(constant) for constant in CONSTANTS}
_BIG_MODEL = onnx_models.big_weights(3)


def set_up_commands() -> list[list[Argument]]:
    """What has to be there before the clients start."""
    return [
        store_command(STABLE_MODEL, onnx_models.mul(None)),
        store_command(SHARED_MODEL, _ADDERS[1.0]),
        store_command(SLOW_MODEL, onnx_models.counting_loop()),
        ["AI.TENSORSET", "slow:n", "INT64", 1, "VALUES", SLOW_ITERATIONS],
        ["AI.TENSORSET", "slow:x", "FLOAT", 1, "VALUES", 0],
    ]


def floats(values: Sequence[float]) -> bytes:
    return struct.pack(f"<{len(values)}f", *values)


def tensor_command(key: str, values: Sequence[float]) -> list[Argument]:
    return ["AI.TENSORSET", key, "FLOAT", len(values), "BLOB", floats(values)]


class HammerClient:
    """One client with keys of its own; its numbers tell its tensors from all others."""

    def __init__(self, port: int, identity: int, seed: str, tally: Counter[str]) -> None:
        self._port = port
        self._identity = identity
        self._random = Random(f"{seed}:{identity}")
        self._tally = tally
        self._serial = 0
        self._client: AsyncClient

    async def run(self, until: float) -> None:
        """Behaves in all ways until the moment on the monotonic clock."""
        self._client = await AsyncClient.connect(self._port)
        try:
            while time.monotonic() < until:
                behaviour = self._random.choice(self._BEHAVIOURS)
                await behaviour(self)
                self._tally[behaviour.__name__.strip("_")] += 1
        finally:
            self._client.close()

    def _key(self, name: str) -> str:
        return f"c{self._identity}:{name}"

    def _numbers(self, count: int = 4) -> list[float]:
        """Numbers that no other client sends; exact as FLOAT, also when multiplied by a small integer."""
        self._serial = (self._serial + 1) % 1000
        return [float(self._identity * 1000 + self._serial + index % 7) for index in range(count)]

    async def _expect(self, expected: Any, *command: Argument) -> None:
        _check(command, await self._client.call(*command), expected)

    async def _private_tensor(self) -> None:
        """Set, read, read as values, delete, miss."""
        values = self._numbers(self._random.choice((1, 4, 100, 5000)))
        key = self._key("t")
        await self._expect(OK, *tensor_command(key, values))
        await self._expect(floats(values), "AI.TENSORGET", key, "BLOB")
        if len(values) <= 100:
            reply = await self._client.call("AI.TENSORGET", key, "VALUES")
            _check((key, "VALUES"), [float(value) for value in reply], values)
        await self._expect(1, "DEL", key)
        await self._expect(NO_TENSOR, "AI.TENSORGET", key)

    async def _private_run(self) -> None:
        """A run on private tensors with a model that stays."""
        values, factor = self._numbers(), float(self._random.randrange(1, 5))
        a, b, m = self._key("a"), self._key("b"), self._key("m")
        await self._expect(OK, *tensor_command(a, values))
        await self._expect(OK, *tensor_command(b, [factor]))
        await self._expect(OK, *execute_command(STABLE_MODEL, [a, b], [m]))
        await self._expect(floats([value * factor for value in values]), "AI.TENSORGET", m, "BLOB")

    async def _pipelined_runs(self) -> None:
        """Several runs in one write: answers in order, none lost, none of another's."""
        commands: list[list[Argument]] = []
        expected: list[Any] = []
        for index in range(5):
            values, key = self._numbers(), self._key(f"p{index}")
            commands += [
                tensor_command(key, values),
                execute_command(STABLE_MODEL, [key, key], [key]),
                ["ECHO", f"{self._identity}:{self._serial}"],
                ["AI.TENSORGET", key, "BLOB"],
            ]
            expected += [OK, OK, f"{self._identity}:{self._serial}".encode(), floats([v * v for v in values])]
        for command, reply, wanted in zip(commands, await self._client.pipeline(commands), expected, strict=True):
            _check(command, reply, wanted)

    async def _private_model(self) -> None:
        """Store, run, replace, run, delete, miss."""
        key, x, y = self._key("model"), self._key("x"), self._key("y")
        values = self._numbers()
        await self._expect(OK, *tensor_command(x, values))
        for constant in self._random.sample(CONSTANTS, 2):
            await self._expect(OK, *store_command(key, _ADDERS[constant]))
            await self._expect(OK, *execute_command(key, [x], [y]))
            await self._expect(floats([value + constant for value in values]), "AI.TENSORGET", y, "BLOB")
        await self._expect(OK, "AI.MODELDEL", key)
        await self._expect(NO_MODEL, *execute_command(key, [x], [y]))

    async def _shared_model(self) -> None:
        """Runs a model that others replace and delete: one version of it or none, never a mixture."""
        values, x, y = self._numbers(64), self._key("sx"), self._key("sy")
        await self._expect(OK, *tensor_command(x, values))
        reply = await self._client.call(*execute_command(SHARED_MODEL, [x], [y]))
        if reply == NO_MODEL:
            return
        _check(("run of the shared model",), reply, OK)
        found = await self._client.call("AI.TENSORGET", y, "BLOB")
        assert found in [floats([value + constant for value in values]) for constant in CONSTANTS], found[:100]

    async def _change_shared_model(self) -> None:
        if self._random.random() < 0.3:
            reply = await self._client.call("AI.MODELDEL", SHARED_MODEL)
            assert reply in (OK, NO_MODEL), reply
        await self._expect(OK, *store_command(SHARED_MODEL, _ADDERS[self._random.choice(CONSTANTS)]))

    async def _shared_tensor(self) -> None:
        """A tensor that all write with equal elements is never seen with different ones."""
        key = self._random.choice(SHARED_TENSORS)
        await self._expect(OK, *tensor_command(key, [float(self._identity)] * self._random.choice((1, 50, 2000))))
        if self._random.random() < 0.2:
            await self._client.call("DEL", key)
        for source in (key, await self._squared(key)):
            blob = await self._client.call("AI.TENSORGET", source, "BLOB")
            if blob != NO_TENSOR:
                elements = struct.unpack(f"<{len(blob) // 4}f", blob)
                assert len(set(elements)) == 1, f"torn tensor: {set(elements)}"

    async def _squared(self, key: str) -> str:
        """The key of a run's output with a shared tensor as both inputs."""
        output = self._key("squared")
        await self._client.call("DEL", output)
        reply = await self._client.call(*execute_command(STABLE_MODEL, [key, key], [output]))
        assert reply in (OK, NO_TENSOR), reply
        return output

    async def _look_around(self) -> None:
        """What monitoring asks for."""
        for name, tag in await self._client.call("AI._MODELSCAN"):
            assert isinstance(name, bytes) and tag == b"", (name, tag)
        reply = await self._client.call("AI.INFO", STABLE_MODEL)
        assert reply[:4] == [b"key", STABLE_MODEL.encode(), b"type", b"MODEL"] and len(reply) == 18, reply
        assert reply[-1] == 0, f"the model that stays has failed: {reply}"
        reply = await self._client.call("AI.MODELGET", SHARED_MODEL, "BLOB")
        assert reply == NO_MODEL or reply in _ADDERS.values(), reply[:100]
        assert b"ai_RedisAI_version" in await self._client.call("INFO", "modules")

    async def _slow_run(self) -> None:
        """Keeps the queue from being empty."""
        output = self._key("slow")
        await self._expect(OK, *execute_command(SLOW_MODEL, ["slow:n", "slow:x"], [output]))
        await self._expect(floats([SLOW_ITERATIONS]), "AI.TENSORGET", output, "BLOB")

    _BEHAVIOURS: list[Callable[[HammerClient], Awaitable[None]]] = [
        *[_private_tensor] * 6,
        *[_private_run] * 6,
        *[_pipelined_runs] * 4,
        *[_private_model] * 2,
        *[_shared_model] * 4,
        *[_shared_tensor] * 4,
        _change_shared_model,
        _look_around,
        _slow_run,
    ]


class LeavingClient:
    """Comes, sends something that takes long or half of something, and goes."""

    def __init__(self, port: int, identity: int, seed: str, tally: Counter[str]) -> None:
        self._port = port
        self._identity = identity
        self._random = Random(f"{seed}:leaving:{identity}")
        self._tally = tally

    async def run(self, until: float) -> None:
        while time.monotonic() < until:
            client = await AsyncClient.connect(self._port)
            await client.send_and_leave(self._something(), reset=self._random.random() < 0.5)
            self._tally["leave"] += 1
            await asyncio.sleep(self._random.random() * 0.3)

    def _something(self) -> bytes:
        key = f"gone{self._identity}"
        # Stores are rare: building the models of those who have left would leave no time for the others'.
        commands = [
            *[execute_command(SLOW_MODEL, ["slow:n", "slow:x"], [key])] * 6,
            store_command(key, _BIG_MODEL),
            store_command(SHARED_MODEL, _ADDERS[2.0]),
            *[tensor_command(key, [1.0] * 5000)] * 4,
            *[["AI.TENSORGET", "slow:x", "META", "VALUES"]] * 2,
            ["AI.MODELDEL", key],
        ]
        data = b"".join(encode_command(*command) for command in self._random.choices(commands, k=3))
        return data if self._random.random() < 0.6 else data[: self._random.randrange(len(data))]


def _check(command: Sequence[Argument], reply: Any, expected: Any) -> None:
    if reply == expected:
        return
    words = [word if len(str(word)) < 60 else f"({len(str(word))} bytes)" for word in command]
    shown = reply.text if isinstance(reply, Error) else repr(reply)
    raise AssertionError(f"{words}: {shown[:200]} instead of {expected!r:.200}")
