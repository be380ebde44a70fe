"""Makes DAG commands that mean something, and damages some of them.

What names hold is followed while a command is made, so that most operations get what they can use.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from random import Random

import numpy as np

from reliability.dag_interpreter import run
from reliability.dag_models import (
    DEVICES,
    FUNCTIONS,
    NUMPY_TYPES,
    DagModel,
    RunFails,
    Runs,
    ScriptFunction,
    models_of,
    to_array,
)
from reliability.dag_parser import Operation
from reliability.keyspace import Keyspace, TensorValue

Words = list[bytes]
COMMANDS = (b"AI.DAGEXECUTE", b"AI.DAGEXECUTE_RO", b"AI.DAGRUN", b"AI.DAGRUN_RO")
_COMMAND_WEIGHTS = (55, 15, 20, 10)
MOST_OPERATIONS = 14
_DTYPES = (b"FLOAT",) * 12 + (b"DOUBLE", b"INT64", b"INT32", b"STRING", b"BOOL", b"INT8", b"INT16", b"UINT8", b"UINT16")
_SHAPES = ((1, 3), (2, 3), (2, 3), (3,), (4,), (1,), (), (2, 2), (2, 1, 3))
# What PyTorch makes of the others is not ours to say.
_TORCH_DTYPES = (b"FLOAT", b"DOUBLE", b"INT64", b"INT32")
_FORMATS: tuple[Words, ...] = ([], [b"META"], [b"BLOB"], [b"VALUES"], [b"META", b"BLOB"], [b"VALUES", b"META"])
_NUMBERS = (b"0", b"-1", b"2", b"1.5", b"x", b"9223372036854775807", b"99999999999999999999")
SHORT_TIMEOUT = 1


class DagGrammar:
    """A stream of commands on the names of one connection, which are keys as well."""

    def __init__(
        self, random: Random, engines: Sequence[str], names: Sequence[bytes], other: bytes, runs: Runs
    ) -> None:
        self._random = random
        self._models = models_of(engines)
        self._has_scripts = "TORCH" in engines
        self._names = list(names)
        self._other = other
        self._runs = runs
        self._notes = 0
        # Of the command that is being made.
        self._name = b""
        self._parts: list[Words] = []
        self._held: dict[bytes, TensorValue | None] = {}

    def command(self, keys: Keyspace) -> Words:
        """``keys`` are those that there are."""
        self._name = self._random.choices(COMMANDS, _COMMAND_WEIGHTS)[0]
        self._parts, self._held = [], {}
        loaded = self._loaded(keys)
        for _ in range(self._random.choice((1, 2, 3, 4, 5, 7, 10, MOST_OPERATIONS))):
            self._add_operation()
        words = [self._spelling(self._name), *self._header(loaded)]
        for part in self._parts:
            words += [b"|>", *part]
        if self._random.random() < 0.12:
            self._damage(words)
        return words

    def tensor_set(self, name: bytes) -> Words:
        """A command that sets a key."""
        return self._tensor_words(name, self._tensor(self._random.choice(_DTYPES)))

    # The header

    def _loaded(self, keys: Keyspace) -> Words:
        """Keys to load; their tensors are there from the beginning."""
        there = [key for key, value in keys.items() if isinstance(value, TensorValue)]
        loaded = self._random.sample(there, min(len(there), self._random.choice((0, 0, 1, 2, 3))))
        for key in loaded:
            value = keys[key]
            self._held[key] = value if isinstance(value, TensorValue) else None
        if self._chance(0.02):
            loaded.append(self._random.choice((self._other, b"nobody's", *self._names)))
        return loaded

    def _header(self, loaded: Words) -> Words:
        clauses: list[Words] = []
        if loaded:
            clauses.append([b"LOAD", b"%d" % len(loaded), *loaded])
        clauses += self._persist()
        if not clauses and b"EXECUTE" in self._name and not self._chance(0.03) or self._chance(0.1):
            clauses.append([b"ROUTING", self._random.choice(self._names)])
        if self._chance(0.15):
            milliseconds = self._random.choice((60000, 60000, 60000, SHORT_TIMEOUT, 0, -5))
            clauses.append([b"TIMEOUT", b"%d" % milliseconds])
        self._random.shuffle(clauses)
        return [word for clause in clauses for word in (self._spelling(clause[0]), *clause[1:])]

    def _persist(self) -> list[Words]:
        if self._name.endswith(b"_RO") and not self._chance(0.02):
            return []
        names = self._random.sample(list(self._held), min(len(self._held), self._random.choice((0, 1, 2, 3))))
        if self._chance(0.01):
            names.append(self._random.choice((*self._names, b"nobody's")))
        if self._chance(0.02) and self._other in self._held and self._other not in names:
            names.append(self._other)
        return [[b"PERSIST", b"%d" % len(names), *names]] if names else []

    # Operations

    def _add_operation(self) -> None:
        share = self._random.random()
        if share < 0.22:
            self._add_set(self._random.choice(_DTYPES))
        elif share < 0.45 and self._held:
            self._add_get()
        elif share < 0.60 and self._has_scripts:
            self._add_script()
        else:
            self._add_model(self._random.choice(self._models))

    def _add_set(self, dtype: bytes) -> bytes:
        # A name may be that of a key of another type: it is a local one, unless it is to be persisted.
        name = self._other if self._chance(0.01) else self._random.choice(self._names)
        value = self._tensor(dtype)
        self._parts.append(self._tensor_words(name, value))
        self._held[name] = value
        return name

    def _add_get(self) -> None:
        name = self._random.choice(self._names if self._chance(0.01) else list(self._held))
        self._parts.append([self._spelling(b"AI.TENSORGET"), name, *self._random.choice(_FORMATS)])

    def _add_model(self, model: DagModel) -> None:
        inputs = [self._input(model.dtypes, model.engine == "TORCH") for _ in range(model.inputs)]
        outputs = [self._random.choice(self._names) for _ in range(model.outputs)]
        device = self._random.choice(DEVICES)
        key = model.key(device) if not self._chance(0.003) else b"nobody's"
        if self._name.startswith(b"AI.DAGRUN") != self._chance(0.003):
            words = [b"AI.MODELRUN", key, b"INPUTS", *inputs, b"OUTPUTS", *outputs]
        else:
            words = [b"AI.MODELEXECUTE", key, b"INPUTS", b"%d" % len(inputs), *inputs]
            words += [b"OUTPUTS", b"%d" % len(outputs), *outputs]
        self._add_run(words, Operation(b"", device, model.key(device), outputs=outputs), inputs)

    def _add_script(self) -> None:
        if self._name == b"AI.DAGEXECUTE_RO" and not self._chance(0.01):
            return self._add_model(self._random.choice(self._models))
        function = self._random.choices(FUNCTIONS, [1 if f.name == b"raises" else 4 for f in FUNCTIONS])[0]
        count = function.inputs or self._random.choice((1, 2, 3))
        # Surplus tensors are ignored.
        inputs = [self._input((b"FLOAT",), True) for _ in range(count + self._chance(0.05))]
        outputs = [self._random.choice(self._names) for _ in range(self._output_count(function, len(inputs)))]
        device = self._random.choice(DEVICES)
        name = b"nothing" if self._chance(0.02) else function.name
        operation = Operation(b"", device, f"script@{device}".encode(), name, outputs=outputs)
        if self._name.startswith(b"AI.DAGRUN"):
            words = [b"AI.SCRIPTRUN", operation.key, name, b"INPUTS", *inputs, b"OUTPUTS", *outputs]
        else:
            words = [b"AI.SCRIPTEXECUTE", operation.key, name, *self._sections(function, operation, inputs)]
        return self._add_run(words, operation, inputs)

    def _output_count(self, function: ScriptFunction, inputs: int) -> int:
        if self._chance(0.04):
            return self._random.choice((0, 1, 2, 3))
        return {b"copies": inputs, b"both": 2}.get(function.name, 1)

    def _sections(self, function: ScriptFunction, operation: Operation, inputs: Words) -> Words:
        """In any order."""
        if function.keys:
            self._notes += 1
            operation.keys = [b"%s:note%d" % (self._names[0], self._notes)]
            operation.arguments = [b"%d" % self._notes]
        named = ((b"KEYS", operation.keys), (b"INPUTS", inputs), (b"ARGS", operation.arguments))
        sections = [
            [label, b"%d" % len(words), *words] for label, words in (*named, (b"OUTPUTS", operation.outputs)) if words
        ]
        self._random.shuffle(sections)
        return [word for section in sections for word in section]

    def _add_run(self, words: Words, operation: Operation, inputs: Words) -> None:
        self._parts.append([self._spelling(words[0]), *words[1:]])
        values = [self._held.get(name) for name in inputs]
        known = [value for value in values if value is not None]
        results: Sequence[TensorValue | None] = [None] * len(operation.outputs)
        if len(known) == len(values):
            with contextlib.suppress(RunFails):
                results = run(operation, known, self._runs)
        self._held.update(zip(operation.outputs, results))

    def _input(self, dtypes: Sequence[bytes], is_torch: bool) -> bytes:
        """The name of a tensor of one of these types, or sometimes of another."""
        if self._chance(0.004):
            return self._random.choice(self._names)
        unusual = self._chance(0.06)
        fitting = [
            name
            for name, value in self._held.items()
            if value is None
            or value.dtype in dtypes
            or (unusual and not (is_torch and value.dtype not in _TORCH_DTYPES))
        ]
        if not fitting or self._chance(0.1):
            return self._add_set(self._random.choice(dtypes))
        return self._random.choice(fitting)

    # Tensors

    def _tensor(self, dtype: bytes) -> TensorValue:
        shape = self._random.choice(_SHAPES) if self._chance(0.4) else (self._random.choice((1, 2, 3)), 3)
        count = 1
        for dim in shape:
            count *= dim
        if dtype == b"STRING":
            texts = (self._random.choice((b"", b"a", b"b c", b"\xff")) for _ in range(count))
            return TensorValue(dtype, shape, b"".join(text + b"\0" for text in texts))
        least, greatest = {b"BOOL": (0, 1), b"UINT8": (0, 9), b"UINT16": (0, 9), b"INT64": (0, 7)}.get(dtype, (-1, 7))
        numbers = [self._random.randint(least, greatest) for _ in range(count)]
        if dtype == b"INT64" and self._chance(0.1):
            # Beyond the table out of which a model takes elements.
            numbers[-1] = 9
        return TensorValue(dtype, shape, b"".join(_packed(dtype, number) for number in numbers))

    def _tensor_words(self, name: bytes, value: TensorValue) -> Words:
        assert value.blob is not None
        words = [self._spelling(b"AI.TENSORSET"), name, value.dtype, *(b"%d" % dim for dim in value.dims)]
        if not value.blob.strip(b"\0") and value.dims and self._chance(0.5):
            return words
        if self._chance(0.6):
            return [*words, b"BLOB", value.blob]
        elements = to_array(value).ravel()
        if value.dtype == b"STRING":
            return [*words, b"VALUES", *elements]
        return [*words, b"VALUES", *(b"%d" % int(element) for element in elements)]

    def _chance(self, share: float) -> bool:
        return self._random.random() < share

    def _spelling(self, word: bytes) -> bytes:
        return word if self._random.random() < 0.9 else word.lower()

    # Damage

    def _damage(self, words: Words) -> None:
        """One word of something that is not a script."""
        position = self._random.choice(self._places(words))
        kind = self._random.randrange(5)
        if kind == 0:
            del words[position]
        elif kind == 1:
            words.insert(position, words[position])
        elif kind == 2:
            words[position] = self._random.choice((*_NUMBERS, b"nobody's", b"FLOAT", b"BLOB", b"|>"))
        elif kind == 3:
            del words[position:]
        else:
            digits = [place for place in self._places(words) if words[place].isdigit()]
            words[self._random.choice(digits or [position])] = self._random.choice(_NUMBERS)

    def _places(self, words: Words) -> list[int]:
        """Where there may be damage."""
        places, inside = [], False
        for position, word in enumerate(words):
            if word.upper().startswith(b"AI.SCRIPT"):
                inside = True
            elif word == b"|>":
                inside = False
            if position and not inside:
                places.append(position)
        return places or [len(words) - 1]


def _packed(dtype: bytes, number: int) -> bytes:
    return np.array(number, NUMPY_TYPES[dtype]).tobytes()
