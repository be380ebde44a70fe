"""What the clients of the soak do besides those of the campaign over all engines, at a pace.

A share of what they send is wrong on purpose: each such command has to get the error that it deserves.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
from support import onnx_models
from support.commands import IN_TRANSACTION, NO_MODEL, NO_TENSOR, WRONGTYPE, execute_command
from support.resp import OK, QUEUED, TIMEDOUT, Argument, Error

from reliability.engine_clients import (
    BATCH_LIMIT,
    SCRIPT_KEY,
    EngineClient,
    Findings,
    Stage,
    check,
    check_values,
    tensor_command,
)
from reliability.engine_models import ROW_WIDTH, script_call

LARGEST_TENSOR_BYTES = 4 << 20
BATCH_ROWS = 64
# Whoever is late by more does not try to catch up.
LATE_SECONDS = 2.0
_NO_SUCH_KEY = "never stored"
_LUA = "return redis.call(unpack(ARGV))"
_RUNS_OF_LUA = "return redis.pcall(unpack(ARGV))"
# A program that does not compile, and one that ends in the middle of its only function.
_BAD_SCRIPTS = ("def f(tensors: List[Tensor], keys: List[str], args: List[str]):\n    return nothing", "def f(")


def batched_commands(stage: Stage) -> list[list[Argument]]:
    """Stores the models of one input once more, for requests that run together."""
    commands = []
    for name, model in stage.rows.items():
        command = model.store_command(f"batched:{name}")
        commands.append([*command[:4], "BATCHSIZE", BATCH_ROWS, *command[4:]])
    return commands


class SoakClient(EngineClient):
    """Behaves about ``rate`` times per second."""

    # On a machine that is busy with other things, trying out a model of TensorFlow can take a minute.
    reply_timeout = 180.0

    def __init__(self, port: int, identity: int, seed: str, stage: Stage, findings: Findings, rate: float) -> None:
        super().__init__(port, identity, seed, stage, findings)
        self._rate = rate
        self._due = time.monotonic() + self._random.random() / rate
        self._wrong_commands = self._choose_wrong_commands()

    def _choose_behaviours(self) -> list[Callable[[], Awaitable[str]]]:
        behaviours = super()._choose_behaviours()
        behaviours += [*[self._dag] * 60, *[self._batched] * 60, *[self._sizes] * 30, *[self._many_rows] * 10]
        behaviours += [*[self._wrong] * 40, *[self._transaction] * 10, *[self._lua] * 10, *[self._moved] * 10]
        behaviours += [*[self._refused_run] * 10, *[self._impatient] * 5, self._new_model, self._refused_file]
        return behaviours

    async def _pause(self, until: float) -> None:
        """Moments that do not depend on how long answers take."""
        now = time.monotonic()
        if self._due < now - LATE_SECONDS:
            self._due = now
        await asyncio.sleep(max(0.0, min(self._due, until) - now))
        self._due += self._random.expovariate(self._rate)

    # Behaviours; each returns the engine's format or what else it used

    async def _dag(self) -> str:
        """A chain over models of several engines."""
        names = self._random.choices(list(self._stage.rows), k=self._random.randint(1, 4))
        x, key, persisted = self._array(self._rows_count()), self._key("dx"), self._key("dy")
        command: list[Argument] = ["AI.DAGEXECUTE", "LOAD", 1, key, "PERSIST", 1, persisted]
        steps = [key, *(f"s{place}" for place in range(1, len(names))), persisted]
        keeps = self._random.random() < 0.5
        if not keeps:
            command = ["AI.DAGEXECUTE_RO", "LOAD", 1, key]
        for name, source, target in zip(names, steps, steps[1:]):
            command += ["|>", *execute_command(f"rows:{name}", [source], [target])]
        command += ["|>", "AI.TENSORGET", persisted, "META", "BLOB"]
        await self._expect(OK, *tensor_command(key, x))
        reply = await self._call(*command)
        assert isinstance(reply, list) and reply[:-1] == [OK] * len(names), f"DAG: {reply!r:.300}"
        expected = x * 2 ** len(names)
        check_values(command, reply[-1], expected)
        if keeps:
            get = ["AI.TENSORGET", persisted, "META", "BLOB"]
            check_values(get, await self._call(*get), expected)
        return "+".join(sorted(set(names))) if len(names) < 2 else "several"

    async def _batched(self) -> str:
        """Two requests at the same time, which may run together with those of others."""
        name = self._random.choice(list(self._stage.rows))
        keys = [self._key("b0"), self._key("b1")]
        arrays = [self._array(self._random.randint(1, BATCH_ROWS // 4)) for _ in keys]
        for key, array in zip(keys, arrays):
            await self._expect(OK, *tensor_command(key, array))
        clients = (self._client, self._second)
        runs = [execute_command(f"batched:{name}", [key], [f"{key}:y"]) for key in keys]
        replies = await asyncio.gather(*(client.call(*run) for client, run in zip(clients, runs)))
        assert [self._note(reply) for reply in replies] == [OK, OK], replies
        for key, array in zip(keys, arrays):
            get = ["AI.TENSORGET", f"{key}:y", "META", "BLOB"]
            check_values(get, await self._call(*get), array * 2)
        return name

    async def _sizes(self) -> str:
        """A tensor of any type and of one byte to megabytes, every size equally likely on a scale of powers."""
        key, width = self._key("size"), self._random.choice((1, 2, 4, 8))
        count = max(1, int(math.exp(self._random.random() * math.log(LARGEST_TENSOR_BYTES))) // width)
        blob = self._random.randbytes(count * width)
        await self._expect(OK, "AI.TENSORSET", key, f"INT{8 * width}", count, "BLOB", blob)
        await self._expect(blob, "AI.TENSORGET", key, "BLOB")
        if count <= 100:
            values = np.frombuffer(blob, f"<i{width}").tolist()
            await self._expect(values, "AI.TENSORGET", key, "VALUES")
        if self._random.random() < 0.5:
            await self._expect(1, self._random.choice(("DEL", "UNLINK")), key)
        return "tensors"

    async def _many_rows(self) -> str:
        """Runs of sizes that engines have to find memory for."""
        name = self._random.choice(list(self._stage.rows))
        rows = int(math.exp(self._random.random() * math.log(LARGEST_TENSOR_BYTES // (4 * ROW_WIDTH))))
        x = self._array(max(1, rows))
        await self._expect_values([x], lambda i, o: execute_command(f"rows:{name}", i, o), [x * 2])
        return name

    async def _transaction(self) -> str:
        """Tensors are set and read within MULTI; runs are refused there."""
        key, array = self._key("multi"), self._array(1)
        name = self._random.choice(list(self._stage.rows))
        read = ["AI.TENSORGET", key, "BLOB"]
        run = execute_command(f"rows:{name}", [key], [self._key("o0")])
        replies = await self._pipeline([["MULTI"], tensor_command(key, array), read, run, ["EXEC"]])
        assert replies[:4] == [OK, QUEUED, QUEUED, QUEUED], replies
        assert replies[4] == [OK, array.tobytes(), IN_TRANSACTION], replies[4]
        return "tensors"

    async def _lua(self) -> str:
        key, array = self._key("lua"), self._array(2)
        await self._expect(OK, "EVAL", _LUA, 1, key, *tensor_command(key, array))
        await self._expect(array.tobytes(), "EVAL", _LUA, 1, key, "AI.TENSORGET", key, "BLOB")
        run = execute_command(f"rows:{self._random.choice(list(self._stage.rows))}", [key], [self._key("o0")])
        await self._expect(IN_TRANSACTION, "EVAL", _RUNS_OF_LUA, 1, key, *run)
        return "tensors"

    async def _moved(self) -> str:
        """A tensor and a model are renamed, dumped and restored, and expire."""
        array, name = self._array(3), self._random.choice(list(self._stage.rows))
        first, second, model = self._key("m0"), self._key("m1"), self._key("copied")
        await self._expect(OK, *tensor_command(first, array))
        await self._expect(OK, "RENAME", first, second)
        await self._expect(OK, "RESTORE", first, 0, await self._call("DUMP", second), "REPLACE")
        await self._expect(array.tobytes(), "AI.TENSORGET", first, "BLOB")
        await self._expect(OK, "RESTORE", model, 0, await self._call("DUMP", f"rows:{name}"), "REPLACE")
        await self._expect(OK, *execute_command(model, [first], [second]))
        await self._expect((array * 2).tobytes(), "AI.TENSORGET", second, "BLOB")
        await self._expect(1, "PEXPIRE", model, self._random.randint(1, 1000))
        await self._expect(1, "PEXPIRE", first, self._random.randint(1, 1000))
        return name

    async def _new_model(self) -> str:
        """A file that the server has never seen: it is tried out in another process first."""
        constant, key = self._random.random(), self._key("new")
        await self._expect(OK, "AI.MODELSTORE", key, "ONNX", "CPU", "BLOB", onnx_models.add_constant(constant))
        x = self._array(2)
        expected = [x + np.float32(constant)]
        await self._expect_values([x], lambda i, o: execute_command(key, i, o), expected)
        await self._expect(OK, "AI.MODELDEL", key)
        return "onnx"

    async def _impatient(self) -> str:
        """A limit that may pass before a worker is free."""
        name, key = self._random.choice(list(self._stage.rows)), self._key("i0")
        await self._expect(OK, *tensor_command(key, self._array(BATCH_LIMIT)))
        run = execute_command(f"rows:{name}", [key], [self._key("o0")], "TIMEOUT", 1)
        reply = await self._call(*run)
        assert reply in (OK, TIMEDOUT), f"TIMEOUT 1: {reply!r:.300}"
        return name

    # Wrong on purpose

    async def _wrong(self) -> str:
        command, expected = self._random.choice(self._wrong_commands)
        await self._expect(expected, *command)
        return "wrong"

    async def _refused_run(self) -> str:
        """The engine says what is wrong with the input, or the module does."""
        name, key = self._random.choice(list(self._stage.rows)), self._key("bad")
        # TorchScript takes numbers of any type.
        types = ["STRING"] if self._stage.rows[name].engine == "TORCH" else ["STRING", "INT64"]
        await self._expect(OK, "AI.TENSORSET", key, self._random.choice(types), 2, ROW_WIDTH)
        self._expect_error(await self._call(*execute_command(f"rows:{name}", [key], [self._key("o0")])))
        return "wrong"

    async def _refused_file(self) -> str:
        """A file or a program that ends too early is not stored."""
        name, key = self._random.choice(list(self._stage.rows)), self._key("refused")
        store = self._stage.rows[name].store_command(key)
        if self._stage.has_scripts and self._random.random() < 0.3:
            source = self._random.choice(_BAD_SCRIPTS)
            store = ["AI.SCRIPTSTORE", key, "CPU", "ENTRY_POINTS", 1, "f", "SOURCE", source]
        else:
            store[-1] = store[-1][: len(store[-1]) * 2 // 3]
        self._expect_error(await self._call(*store))
        await self._expect(0, "EXISTS", key)
        return "wrong"

    def _expect_error(self, reply: Any) -> None:
        assert isinstance(reply, Error) and reply.text.strip(), f"no error: {reply!r:.300}"

    def _choose_wrong_commands(self) -> list[tuple[list[Argument], Error]]:
        """Commands with the errors of the contract."""
        model = f"rows:{next(iter(self._stage.rows))}"
        nothing, key, out = _NO_SUCH_KEY, self._key("wrong"), self._key("o0")
        commands: list[tuple[list[Argument], Error]] = [
            (["AI.TENSORSET", key, "FLOAT99", 1], Error("ERR invalid data type")),
            (["AI.TENSORSET", key, "FLOAT", 0], Error("ERR invalid or negative value found in tensor shape")),
            (["AI.TENSORSET", key, "FLOAT", 2, "VALUES", 1], Error(_WRONG_COUNT)),
            (["AI.TENSORSET", key, "INT8", 1, "VALUES", 1000], Error("ERR invalid value")),
            (["AI.TENSORSET", key, "FLOAT", 2, "BLOB", b"1234"], Error(_WRONG_LENGTH)),
            (["AI.TENSORSET", model, "FLOAT", 1], WRONGTYPE),
            (["AI.TENSORGET", nothing, "BLOB"], NO_TENSOR),
            (["AI.TENSORGET", model, "BLOB"], WRONGTYPE),
            (["AI.MODELGET", nothing, "META"], NO_MODEL),
            (["AI.MODELDEL", nothing], NO_MODEL),
            (["AI.MODELSTORE", key, "PICKLE", "CPU", "BLOB", b"x"], Error("ERR unsupported backend")),
            (["AI.MODELSTORE", key, "ONNX", "CPU", "BATCHSIZE", "x", "BLOB", b"x"], Error(_BAD_BATCH_SIZE)),
            (execute_command(nothing, [key], [out]), NO_MODEL),
            (execute_command(model, [nothing], [out]), NO_TENSOR),
            (execute_command(model, [nothing, nothing], [out]), Error(_WRONG_INPUTS)),
            (["AI.INFO", nothing], Error("ERR cannot find run info for key")),
            (["AI.CONFIG", "NOTHING", "1"], Error("ERR unsupported subcommand")),
            (["AI.DAGEXECUTE", "LOAD", 1, nothing, "|>", "AI.TENSORGET", nothing], NO_TENSOR),
            (["AI.SCRIPTGET", nothing], Error("ERR script key is empty")),
        ]
        if self._stage.has_scripts:
            commands.append((script_call(SCRIPT_KEY, "count", [nothing], [out], arguments=[1]), NO_TENSOR))
        return commands


_WRONG_COUNT = "ERR wrong number of values was given in 'AI.TENSORSET' command"
_WRONG_LENGTH = "ERR data length does not match tensor shape and type"
_BAD_BATCH_SIZE = "ERR Invalid argument for BATCHSIZE"
_WRONG_INPUTS = "Number of keys given as INPUTS here does not match model definition"
