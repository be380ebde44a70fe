"""Requests of the batching campaign: what is sent, and what may be answered.

A request is a run of one model on inputs that nobody else has, as commands on keys of its connection or as a DAG. Some
are defective, and some may time out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np
from support.commands import NO_TENSOR, execute_command
from support.resp import OK, TIMEDOUT, Argument, Error, Status

from reliability.batching_models import PICKS, SIZES, SUMS, TABLE_SIZE, Arrays, Batching, Kind, Order

TOLERANCE = 1e-6
MAX_ROWS = 72
WRONG_BATCH_SIZES = (
    Error("ERR Model did not generate the expected batch size"),
    Error("ERR Tensorflow batching error: model did not generate the expected batch size"),
)
NA = Status("NA")
_NAMES = {np.dtype(np.float32): "FLOAT", np.dtype(np.float64): "DOUBLE", np.dtype(np.int64): "INT64"}
FORMS = ("plain", "plain", "deprecated", "dag", "dag", "dag of keys", "deprecated dag")
SHORT_TIMEOUT_MILLISECONDS = 1
WAIT_TIMEOUT_MILLISECONDS = 20
"""Of requests for models that wait for others without end."""
LONG_TIMEOUT_MILLISECONDS = 60_000


class WrongAnswer(Exception):
    """The reply is none of those that the request may get."""


@dataclass(frozen=True)
class Stored:
    """A model in the keyspace."""

    kind: Kind
    batching: Batching
    order: Order

    @property
    def key(self) -> str:
        return self.kind.key(self.batching)


@dataclass(frozen=True)
class Outcome:
    """What a request came to.

    ``samples`` is the number of rows of its first output, ``batch`` that of the rows that ran together, where the model
    tells.
    """

    name: str
    form: str
    key: str
    samples: int = 0
    batch: int = 0


class Request:
    """One request with its answer."""

    def __init__(self, stored: Stored, random: Random, numbers: np.random.Generator, prefix: str) -> None:
        self.stored = stored
        self.rows = _row_count(random)
        inputs = stored.kind.make(numbers, self.rows)
        self.defect = _spoil(stored.kind, inputs, random)
        self.expected = [] if self.defect else self._answers(inputs)
        self.timeout = self._timeout(random)
        self.form = random.choice(FORMS)
        self._inputs = [inputs[place] for place in stored.order.inputs]
        self._input_keys = [f"{prefix}:i{number}" for number in range(len(inputs))]
        self._output_keys = [f"{prefix}:o{number}" for number in range(len(stored.order.outputs))]
        # Inside of a DAG names are local; with the same names everywhere nothing must get mixed up.
        self._local_inputs = [f"i{number}" for number in range(len(inputs))]
        self._local_outputs = [f"o{number}" for number in range(len(stored.order.outputs))]
        self.commands = self._commands()

    def judge(self, replies: Sequence[Any]) -> Outcome:
        """Compares the replies to the commands; raises ``WrongAnswer``."""
        run, outputs = self._taken_apart(replies)
        if run == TIMEDOUT:
            self._must(self.timeout not in (0, LONG_TIMEOUT_MILLISECONDS), "timed out without reason")
            self._must(
                all(output in (NO_TENSOR, None) for output in outputs), f"timed out and written: {outputs!r:.200}"
            )
            return self._outcome("timed out")
        if isinstance(run, Error):
            self._must(all(output in (NO_TENSOR, NA) for output in outputs), f"failed and written: {outputs!r:.200}")
            return self._outcome(self._judge_error(run))
        self._must(run == OK, f"neither OK nor TIMEDOUT nor an error: {run!r:.200}")
        self._must(not self.defect, f"ran in spite of {self.defect}")
        for output, expected in zip(outputs, self.expected, strict=True):
            self._compare(output, expected)
        batch = self._judge_batch(outputs[0]) if self.stored.kind.name == SIZES else 0
        return Outcome("answered", self.form, self.stored.key, len(self.expected[0]), batch)

    def _outcome(self, name: str) -> Outcome:
        return Outcome(name, self.form, self.stored.key)

    def _answers(self, inputs: Arrays) -> Arrays:
        answers = self.stored.kind.answer(inputs)
        return [answers[place] for place in self.stored.order.outputs]

    def _timeout(self, random: Random) -> int:
        batching = self.stored.batching
        if batching.minimum and not batching.milliseconds:
            return WAIT_TIMEOUT_MILLISECONDS
        return random.choice((0, 0, 0, LONG_TIMEOUT_MILLISECONDS, SHORT_TIMEOUT_MILLISECONDS))

    # What is sent

    def _commands(self) -> list[list[Argument]]:
        if self.form == "dag":
            return [["AI.DAGEXECUTE", "ROUTING", "x", *self._limit(), *self._graph(with_inputs=True)]]
        if self.form == "deprecated dag":
            return [["AI.DAGRUN", *self._limit(), *self._graph(with_inputs=True)]]
        commands = [_tensor_command(key, array) for key, array in zip(self._input_keys, self._inputs)]
        if self.form == "dag of keys":
            # The names are those of the keys.
            load, persist = (["LOAD", self._input_keys], ["PERSIST", self._output_keys])
            header = [word for name, keys in (load, persist) for word in (name, len(keys), *keys)]
            commands.append(["AI.DAGEXECUTE", *header, *self._limit(), *self._graph(with_inputs=False)])
        elif self.form == "deprecated":
            sections = ["INPUTS", *self._input_keys, "OUTPUTS", *self._output_keys]
            commands.append(["AI.MODELRUN", self.stored.key, *self._limit(), *sections])
        else:
            commands.append(execute_command(self.stored.key, self._input_keys, self._output_keys, *self._limit()))
        commands += [["AI.TENSORGET", key, "META", "BLOB"] for key in self._output_keys]
        return [*commands, ["DEL", *self._output_keys]]

    def _limit(self) -> list[Argument]:
        return ["TIMEOUT", self.timeout] if self.timeout else []

    def _graph(self, with_inputs: bool) -> list[Argument]:
        """The operations, each after its ``|>``."""
        inputs = self._local_inputs if with_inputs else self._input_keys
        outputs = self._local_outputs if with_inputs else self._output_keys
        operations = [_tensor_command(name, array) for name, array in zip(inputs, self._inputs)] if with_inputs else []
        if self.form == "deprecated dag":
            operations.append(["AI.MODELRUN", self.stored.key, "INPUTS", *inputs, "OUTPUTS", *outputs])
        else:
            operations.append(execute_command(self.stored.key, inputs, outputs))
        if with_inputs:
            operations += [["AI.TENSORGET", name, "META", "BLOB"] for name in outputs]
        return [word for operation in operations for word in ("|>", *operation)]

    # What is answered

    def _taken_apart(self, replies: Sequence[Any]) -> tuple[Any, list[Any]]:
        """The reply to the run and those that show its outputs."""
        count = len(self._inputs)
        if self.form in ("dag", "deprecated dag"):
            (reply,) = replies
            if not isinstance(reply, list):
                return reply, [None] * len(self._output_keys)
            self._must(len(reply) == count + 1 + len(self._output_keys), f"{len(reply)} elements")
            self._must(reply[:count] == [OK] * count, f"inputs are not set: {reply[:count]!r:.200}")
            return reply[count], reply[count + 1 :]
        self._must(list(replies[:count]) == [OK] * count, f"inputs are not set: {replies[:count]!r:.200}")
        run = replies[count]
        if self.form == "dag of keys" and run != TIMEDOUT:
            self._must(isinstance(run, list) and len(run) == 1, f"not an array of one: {run!r:.200}")
            run = run[0]
        return run, list(replies[count + 1 : -1])

    def _judge_error(self, error: Error) -> str:
        if self.defect:
            return "refused"
        if self.stored.kind.name == SUMS and error in WRONG_BATCH_SIZES and self.rows < self.stored.batching.size:
            return "other number of rows"
        raise self._wrong(f"failed: {error.text[:300]}")

    def _compare(self, reply: Any, expected: np.ndarray) -> None:
        self._must(isinstance(reply, list) and len(reply) == 6, f"no tensor: {reply!r:.200}")
        self._must(tuple(reply[3]) == expected.shape, f"shape {reply[3]} instead of {expected.shape}")
        if self.stored.kind.name == SIZES:
            return
        if expected.dtype == object:
            self._must(reply[5] == _text_blob(expected), "another's texts")
            return
        found = np.frombuffer(reply[5], np.int64 if expected.dtype == np.int64 else np.float32).reshape(expected.shape)
        if expected.dtype == np.int64:
            self._must(np.array_equal(found, expected), "another's integers")
            return
        difference = np.abs(found - expected) / np.maximum(np.abs(expected), 1)
        # Not the other way round: a difference from NaN is no number.
        self._must(bool(difference.max() <= TOLERANCE), f"off by {difference.max()}")

    def _judge_batch(self, reply: Any) -> int:
        """The number of rows that ran together: the same for all rows, and within the limits of the options."""
        found = np.frombuffer(reply[5], np.float32)
        total, batching = int(found[0]), self.stored.batching
        self._must(bool((found == total).all()), f"several numbers of rows: {set(found)}")
        self._must(total >= self.rows, f"{total} rows ran, {self.rows} were sent")
        if self.rows >= batching.size:
            self._must(total == self.rows, f"{total} rows ran, though {self.rows} are a full batch")
        else:
            self._must(total < batching.size + MAX_ROWS, f"{total} rows ran in a batch of {batching.size}")
            forced = not batching.milliseconds and batching.minimum
            self._must(total >= forced, f"{total} rows ran, at least {batching.minimum} wanted")
        return total

    def _must(self, holds: bool, complaint: str) -> None:
        if not holds:
            raise self._wrong(complaint)

    def _wrong(self, complaint: str) -> WrongAnswer:
        defect = f", {self.defect}" if self.defect else ""
        return WrongAnswer(f"{self.stored.key}, {self.form}, {self.rows} rows{defect}: {complaint}")


def _row_count(random: Random) -> int:
    share = random.random()
    if share < 0.6:
        return 1
    if share < 0.85:
        return random.randint(2, 4)
    return random.randint(5, 20) if share < 0.95 else random.randint(21, MAX_ROWS)


def _spoil(kind: Kind, inputs: Arrays, random: Random) -> str:
    """Makes some inputs wrong; says how."""
    if kind.name == PICKS and random.random() < 0.1:
        inputs[0][random.randrange(len(inputs[0])), 0] = TABLE_SIZE + random.randrange(1000)
        return "a wrong value"
    if not kind.strict or random.random() < 0.85:
        return ""
    defect = random.choice(("a wrong width", "a wrong type", "different numbers of rows"))
    if defect == "a wrong width":
        inputs[1] = inputs[1][:, 1:]
    elif defect == "a wrong type":
        inputs[0] = inputs[0].astype(np.float64)
    else:
        inputs[0] = np.concatenate([inputs[0], inputs[0], inputs[0]])
    return defect


def _tensor_command(key: str, array: np.ndarray) -> list[Argument]:
    if array.dtype == object:
        return ["AI.TENSORSET", key, "STRING", *array.shape, "BLOB", _text_blob(array)]
    return ["AI.TENSORSET", key, _NAMES[array.dtype], *array.shape, "BLOB", array.tobytes()]


def _text_blob(array: np.ndarray) -> bytes:
    return b"".join(text + b"\0" for text in array.ravel())
