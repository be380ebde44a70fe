"""Runs a DAG one operation after the other, and judges the reply of a server that runs devices side by side.

When no operation fails, there is one right reply. When one fails, operations on other devices may or may not have run:

- on each device, operations that ran come before those that did not;
- one that ran had all its inputs;
- one that failed is one that fails here as well, and at least one does;
- a tensor is shown exactly if the operation that makes it has run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from support.resp import OK, Double, Error, Status

from reliability.dag_models import BY_KEY, FUNCTIONS_BY_NAME, NUMPY_TYPES, RunFails, Runs, to_array
from reliability.dag_parser import Graph, Operation, Source
from reliability.keyspace import Keyspace, TensorValue

NA = Status("NA")
TOLERANCE = 1e-6


class WrongReply(Exception):
    """No right interpretation gives this reply."""


@dataclass
class Interpretation:
    """What every operation gives if those before it have run: its outputs, its failure, or None if it cannot run."""

    graph: Graph
    outcomes: list[list[TensorValue] | RunFails | None]
    loaded: Keyspace

    @property
    def fails(self) -> bool:
        return any(isinstance(outcome, RunFails) for outcome in self.outcomes)

    def persisted(self) -> dict[bytes, TensorValue]:
        """What is written: nothing unless every operation has run."""
        if self.fails:
            return {}
        return {key: self.tensor(source) for key, source in self.graph.persisted.items()}

    def tensor(self, source: Source) -> TensorValue:
        return self._find(source)

    def available(self, source: Source) -> bool:
        return source.operation is None or isinstance(self.outcomes[source.operation], list)

    def _find(self, source: Source) -> TensorValue:
        if source.operation is None:
            value = self.loaded[source.output]
        else:
            outcome = self.outcomes[source.operation]
            assert isinstance(outcome, list)
            value = outcome[source.output]
        assert isinstance(value, TensorValue)
        return value


def interpret(graph: Graph, keys: Keyspace, runs: Runs) -> Interpretation:
    loaded = {key: keys[key] for key in graph.loaded}
    result = Interpretation(graph, [], loaded)
    for operation in graph.operations:
        if operation.value is not None:
            result.outcomes.append([operation.value])
        elif not all(result.available(source) for source in operation.sources):
            result.outcomes.append(None)
        elif not operation.is_run:
            result.outcomes.append([])
        else:
            try:
                result.outcomes.append(run(operation, [result.tensor(source) for source in operation.sources], runs))
            except RunFails as failure:
                result.outcomes.append(failure)
    return result


def run(operation: Operation, inputs: Sequence[TensorValue], runs: Runs) -> list[TensorValue]:
    """The outputs of a model or script; raises ``RunFails``."""
    if operation.key in BY_KEY:
        return runs.model(BY_KEY[operation.key][0], inputs)
    function = FUNCTIONS_BY_NAME.get(operation.function)
    if function is None:
        raise RunFails(f"Function does not exist: {operation.function.decode()}")
    counts = (len(operation.outputs), len(operation.keys), len(operation.arguments))
    return runs.function(function, inputs, *counts)


def judge(interpretation: Interpretation, reply: Any) -> None:
    """Raises ``WrongReply`` unless the reply is one of the possible ones."""
    operations = interpretation.graph.operations
    if not isinstance(reply, list):
        raise WrongReply(f"not an array: {_shown(reply)}")
    if len(reply) != len(operations):
        raise WrongReply(f"{len(reply)} elements for {len(operations)} operations: {_shown(reply)}")
    _Judge(interpretation, reply).judge()


class _Judge:
    """One reply."""

    def __init__(self, interpretation: Interpretation, reply: list[Any]) -> None:
        self._interpretation = interpretation
        self._operations = interpretation.graph.operations
        self._reply = reply

    def judge(self) -> None:
        ended: set[str] = set()
        failures = 0
        for index, operation in enumerate(self._operations):
            if operation.is_run:
                failures += self._judge_run(index, operation, ended)
            elif operation.value is not None:
                self._must(index, self._reply[index] == OK, "not OK")
            else:
                self._judge_get(index, operation)
        if self._interpretation.fails and not failures:
            raise WrongReply("no operation failed")
        if not failures and ended:
            raise WrongReply("operations did not run, though none failed")

    def _judge_run(self, index: int, operation: Operation, ended: set[str]) -> bool:
        """Whether it failed. ``ended`` are the devices on which nothing runs any more."""
        reply, outcome = self._reply[index], self._interpretation.outcomes[index]
        if reply == NA:
            ended.add(operation.device)
            return False
        self._must(index, operation.device not in ended, f"ran after one that did not, on {operation.device}")
        self._must(index, all(self._has_run(source) for source in operation.sources), "ran without its inputs")
        if isinstance(reply, Error):
            ended.add(operation.device)
            self._must(index, isinstance(outcome, RunFails), "failed")
            assert isinstance(outcome, RunFails)
            self._must(index, outcome.text in (None, reply.text), f"another error than {outcome.text!r}")
            return True
        self._must(index, reply == OK, "neither OK nor NA nor an error")
        hint = outcome.hint if isinstance(outcome, RunFails) else ""
        self._must(index, isinstance(outcome, list), f"did not fail {hint}")
        return False

    def _judge_get(self, index: int, operation: Operation) -> None:
        reply, (source,) = self._reply[index], operation.sources
        if not self._has_run(source):
            self._must(index, reply == NA, "shows a tensor that nobody has made")
            return
        self._must(index, reply != NA, "does not show a tensor that there is")
        if complaint := tensor_complaint(operation.format, self._interpretation.tensor(source), reply):
            self._must(index, False, complaint)

    def _has_run(self, source: Source) -> bool:
        return source.operation is None or self._reply[source.operation] == OK

    def _must(self, index: int, holds: bool, complaint: str) -> None:
        if not holds:
            name = self._operations[index].name.decode()
            raise WrongReply(f"operation {index + 1}, {name}: {complaint}: {_shown(self._reply[index])}")


def tensor_complaint(words: Sequence[bytes], value: TensorValue, reply: Any) -> str | None:
    """What is wrong with a reply of AI.TENSORGET with these words, or None."""
    wanted = set(words) or {b"META", b"BLOB"}
    parts = list(reply) if b"META" in wanted and isinstance(reply, list) else [reply]
    if b"META" in wanted:
        meta = [b"dtype", value.dtype, b"shape", list(value.dims)]
        if parts[:4] != meta:
            return f"instead of {meta!r:.200}"
        del parts[:4]
        data = wanted - {b"META"}
        if not data:
            return "more than META" if parts else None
        label = data.pop().lower()
        if len(parts) != 2 or parts[0] != label:
            return f"no {label.decode()}"
        del parts[0]
    if b"VALUES" in wanted:
        return _values_complaint(value, parts[0])
    return blob_complaint(value, parts[0])


def blob_complaint(value: TensorValue, blob: Any) -> str | None:
    if blob == value.blob:
        return None
    if not isinstance(blob, bytes) or value.dtype == b"STRING" or len(blob) != len(value.blob or b""):
        return f"instead of {value.blob!r:.100}"
    found = np.frombuffer(blob, NUMPY_TYPES[value.dtype])
    return _numbers_complaint(value, found)


def _values_complaint(value: TensorValue, values: Any) -> str | None:
    if not isinstance(values, list) or len(values) != to_array(value).size:
        return "not as many values"
    if value.dtype == b"STRING":
        return None if values == list(to_array(value).ravel()) else "other strings"
    numbers = [element.value if isinstance(element, Double) else float(element) for element in values]
    return _numbers_complaint(value, np.array(numbers))


def _numbers_complaint(value: TensorValue, found: np.ndarray) -> str | None:
    expected = to_array(value).ravel()
    if np.allclose(found.astype(np.float64), expected.astype(np.float64), TOLERANCE, TOLERANCE, equal_nan=True):
        return None
    return f"instead of {expected!r:.200}"


def _shown(reply: Any) -> str:
    return reply.text[:200] if isinstance(reply, Error) else f"{reply!r:.300}"
