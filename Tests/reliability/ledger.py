"""What a client's keys hold: what its commands make of them, and what the server has.

Every client has keys of its own, and one command at a time on its way. When the answer to that has not come, the keys hold
what they held before it, or what it leaves behind, or something in between where the command does several things.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random
from typing import Any

import numpy as np

from support import onnx_models
from support.commands import execute_command, pairs, store_command
from support.resp import OK, Argument, Error, RawClient, Status
from support.scripts import entry_point, script_command, store_script_command

CONSTANTS = (1, 2, 3)
MODELS = {constant: onnx_models.add_constant(float(constant)) for constant in CONSTANTS}
_CONSTANTS_OF = {blob: constant for constant, blob in MODELS.items()}
SCRIPTS = {
    number: entry_point(
        "note", f"factor = {number}.0", 'redis.execute("SET", keys[0], args[0])', "return tensors[0] * factor"
    )
    for number in CONSTANTS
}
_NUMBERS_OF = {source: number for number, source in SCRIPTS.items()}
TENSORS = tuple(f"t{number}" for number in range(6))
MODEL_NAMES = ("m0", "m1")
SCRIPT_NAMES = ("f",)
STRINGS = ("s0", "s1")
NAMES = (*TENSORS, *MODEL_NAMES, *SCRIPT_NAMES, *STRINGS)
_TTL_SECONDS = 100_000
# Values stay exact as FLOAT.
_LARGEST = 1_000_000


@dataclass(frozen=True)
class Value:
    """What a key holds. ``content`` is comparable: a tensor's elements, a model's constant and tag, a script's number."""

    kind: str
    content: Any
    expires: bool = False


State = dict[str, Value]
"""By name; what is not there is missing."""


@dataclass(frozen=True)
class Step:
    """A command, its right answer, and the states through which it takes the keys: the last when it has been answered."""

    command: list[list[Argument]]
    """More than one: a transaction."""
    expected: Any
    states: list[State]


class Ledger:
    """The keys of one client. ``possible`` are the states in which they may be: one, unless an answer is missing."""

    def __init__(self, client: int, seed: str, engines: frozenset[str]) -> None:
        self.possible: list[State] = [{}]
        self.client = client
        self._random = Random(f"{seed}:{client}")
        self._makers: list[Callable[[State], Step]] = [
            *[self._set_tensor] * 5,
            *[self._run_model] * 6,
            *[self._run_graph] * 3,
            self._delete,
            self._rename,
            self._copy,
            self._expire,
            self._persist,
            self._transaction,
            self._store_model,
        ]
        if "torch" in engines:
            self._makers += [self._store_script, self._run_script, self._run_script]

    def key(self, name: str) -> str:
        return f"{{c{self.client}}}:{name}"

    def next_step(self) -> Step:
        """A command at random. To be followed by ``begin`` and ``end``."""
        [state] = self.possible
        return self._random.choice(self._makers)(state)

    def begin(self, step: Step) -> None:
        """The command is about to be sent."""
        self.possible = [self.possible[0], *step.states]

    def end(self, step: Step) -> None:
        """It has been answered as it should be."""
        self.possible = [step.states[-1]]

    def refused(self, step: Step) -> None:
        """It has been answered by an error: at most its last step has not been taken."""
        self.possible = [self.possible[0], *step.states[:-1]]

    # Commands

    def _set_tensor(self, state: State) -> Step:
        name, elements = self._any(TENSORS), self._elements()
        return self._alone(self._set_command(name, elements), state, {name: Value("tensor", elements)})

    def _set_command(self, name: str, elements: tuple[int, ...]) -> list[Argument]:
        if self._random.random() < 0.3:
            return ["AI.TENSORSET", self.key(name), "FLOAT", len(elements), "VALUES", *elements]
        return ["AI.TENSORSET", self.key(name), "FLOAT", len(elements), "BLOB", _bytes(elements)]

    def _store_model(self, state: State) -> Step:
        name, constant, tag = self._any(MODEL_NAMES), self._any(CONSTANTS), f"v{self._random.randrange(1000)}"
        command = store_command(self.key(name), MODELS[constant], "TAG", tag)
        return self._alone(command, state, {name: Value("model", (constant, tag))})

    def _store_script(self, state: State) -> Step:
        name, number = self._any(SCRIPT_NAMES), self._any(CONSTANTS)
        command = store_script_command(self.key(name), SCRIPTS[number], "note")
        return self._alone(command, state, {name: Value("script", number)})

    def _run_model(self, state: State) -> Step:
        source, target, model = self._any(TENSORS), self._any(TENSORS), self._any(MODEL_NAMES)
        if model not in state or source not in state or not _is_small(state[source]):
            return self._set_tensor(state) if model in state else self._store_model(state)
        result = _plus(state[source], state[model].content[0])
        command = execute_command(self.key(model), [self.key(source)], [self.key(target)])
        return self._alone(command, state, {target: result})

    def _run_graph(self, state: State) -> Step:
        """Two runs in a row, both results are kept: together, or not at all."""
        source, model = self._any(TENSORS), self._any(MODEL_NAMES)
        first, second = self._random.sample(TENSORS, 2)
        if model not in state or source not in state or not _is_small(state[source]):
            return self._run_model(state)
        constant = state[model].content[0]
        once = _plus(state[source], constant)
        run = ["|>", "AI.MODELEXECUTE", self.key(model), "INPUTS", 1]
        x, y, z = self.key(source), self.key(first), self.key(second)
        command = ["AI.DAGEXECUTE", "LOAD", 1, x, "PERSIST", 2, y, z, *run, x, "OUTPUTS", 1, y]
        command += [*run, y, "OUTPUTS", 1, z]
        return Step([command], [[OK, OK]], [state | {first: once, second: _plus(once, constant)}])

    def _run_script(self, state: State) -> Step:
        """A command of the script's own, and then its output."""
        source, target, name, note = self._any(TENSORS), self._any(TENSORS), SCRIPT_NAMES[0], self._any(STRINGS)
        if name not in state:
            return self._store_script(state)
        if source not in state or not _is_small(state[source]):
            return self._set_tensor(state)
        text = str(self._random.randrange(1_000_000))
        number = state[name].content
        result = Value("tensor", tuple(element * number for element in state[source].content))
        command = script_command(
            self.key(name), "note", [self.key(source)], [self.key(target)], keys=[self.key(note)], args=[text]
        )
        noted = state | {note: Value("string", text)}
        return Step([command], [OK], [noted, noted | {target: result}])

    def _delete(self, state: State) -> Step:
        name = self._any(NAMES)
        command = ["DEL", self.key(name)]
        if name in MODEL_NAMES and name in state:
            return Step([["AI.MODELDEL", self.key(name)]], [OK], [_without(state, name)])
        return Step([command], [1 if name in state else 0], [_without(state, name)])

    def _rename(self, state: State) -> Step:
        source, target = self._pair()
        if source not in state:
            return self._set_tensor(state)
        command = ["RENAME", self.key(source), self.key(target)]
        return self._alone(command, _without(state, source), {target: state[source]})

    def _copy(self, state: State) -> Step:
        source, target = self._pair()
        if source not in state:
            return self._set_tensor(state)
        command: list[Argument] = ["COPY", self.key(source), self.key(target), "REPLACE"]
        return Step([command], [1], [state | {target: state[source]}])

    def _expire(self, state: State) -> Step:
        name = self._any(NAMES)
        after = state | {name: replace(state[name], expires=True)} if name in state else state
        return Step([["EXPIRE", self.key(name), _TTL_SECONDS]], [1 if name in state else 0], [after])

    def _persist(self, state: State) -> Step:
        name = self._any(NAMES)
        expires = name in state and state[name].expires
        after = state | {name: replace(state[name], expires=False)} if expires else state
        return Step([["PERSIST", self.key(name)]], [1 if expires else 0], [after])

    def _transaction(self, state: State) -> Step:
        names = self._random.sample(TENSORS, 3)
        values = {name: self._elements() for name in names}
        commands = [self._set_command(name, elements) for name, elements in values.items()]
        queued = [Status("QUEUED")] * len(commands)
        after = state | {name: Value("tensor", elements) for name, elements in values.items()}
        return Step([["MULTI"], *commands, ["EXEC"]], [OK, *queued, [OK] * len(commands)], [after])

    def _alone(self, command: list[Argument], state: State, change: State) -> Step:
        return Step([command], [OK], [state | change])

    def _any(self, choices: Any) -> Any:
        return self._random.choice(choices)

    def _pair(self) -> tuple[str, str]:
        source, target = self._random.sample(TENSORS if self._random.random() < 0.7 else MODEL_NAMES, 2)
        return source, target

    def _elements(self) -> tuple[int, ...]:
        return tuple(self._random.randrange(1000) for _ in range(self._random.choice((1, 2, 8, 300))))

    # What is there

    def read(self, raw: RawClient) -> State:
        """The state in which the server has the client's keys."""
        return {name: value for name in NAMES if (value := _read(raw, self.key(name))) is not None}

    def settle(self, actual: State) -> str | None:
        """Goes on from what is there; what is wrong with it, or None."""
        wrong = None if actual in self.possible else self._difference(actual)
        self.possible = [actual]
        return wrong

    def _difference(self, actual: State) -> str:
        expected = self.possible[-1]
        names = [name for name in NAMES if actual.get(name) != expected.get(name)]
        details = "; ".join(
            f"{self.key(name)}: {_short(actual.get(name))}, not "
            + " or ".join(sorted({_short(state.get(name)) for state in self.possible}))
            for name in names[:5]
        )
        return f"client {self.client}: {details}"


def _read(raw: RawClient, key: str) -> Value | None:
    kind, ttl = raw.pipeline([["TYPE", key], ["TTL", key]])
    expires = ttl >= 0
    if kind == Status("none"):
        return None
    if kind == Status("AI_TENSOR"):
        reply = pairs(raw.call("AI.TENSORGET", key, "META", "BLOB"))
        elements = tuple(int(element) for element in np.frombuffer(reply["blob"], np.float32))
        shape_fits = reply["shape"] == [len(elements)] and reply["dtype"] == b"FLOAT"
        return Value("tensor" if shape_fits else str(reply), elements, expires)
    if kind == Status("AI__MODEL"):
        reply = pairs(raw.call("AI.MODELGET", key, "META", "BLOB"))
        return Value("model", (_CONSTANTS_OF.get(reply["blob"]), reply["tag"].decode()), expires)
    if kind == Status("AI_SCRIPT"):
        reply = pairs(raw.call("AI.SCRIPTGET", key, "META", "SOURCE"))
        return Value("script", _NUMBERS_OF.get(reply["source"].decode()), expires)
    return Value(kind.text, raw.call("GET", key).decode(), expires)


def _bytes(elements: tuple[int, ...]) -> bytes:
    return np.array(elements, dtype=np.float32).tobytes()


def _plus(value: Value, constant: int) -> Value:
    return Value("tensor", tuple(element + constant for element in value.content))


def _is_small(value: Value) -> bool:
    return max(value.content) < _LARGEST


def _without(state: State, name: str) -> State:
    return {other: value for other, value in state.items() if other != name}


def _short(value: Value | None) -> str:
    return "nothing" if value is None else repr(value)[:120]


def is_error(reply: Any) -> bool:
    """Whether an answer, or a part of it, is an error."""
    return isinstance(reply, Error) or (isinstance(reply, list) and any(map(is_error, reply)))
