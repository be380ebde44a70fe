"""All commands of the module, and those of the server that touch its keys, on few keys that all clients share.

Most are in order, so that runs, replacements and deletions meet; the others are damaged as those of the fuzzer are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from support import onnx_models
from support.resp import encode_argument

from reliability.command_grammar import MODEL_KEYS, TENSOR_KEYS, Command, Grammar
from reliability.engine_models import SCRIPT, SCRIPT_ENTRY_POINTS, Model, formats_of

SCRIPT_KEYS = [b"s0", b"s1"]
# The numbers of inputs and outputs of the models that are usually stored there.
_COUNTS = dict(zip(MODEL_KEYS, ((1, 1), (1, 1), (2, 1), (2, 2))))
DEVICES = (b"CPU", b"CPU", b"CPU:1")
DAMAGED_SHARE = 0.2
WIDTH = 3
_TIMEOUTS = (b"1", b"5", b"1000")
_TURNS = (b"1", b"10", b"300")


@dataclass(frozen=True)
class ModelFile:
    """A model with its numbers of inputs and outputs."""

    model: Model
    counts: tuple[int, int]


def models_of(engines: Sequence[str]) -> list[ModelFile]:
    """Models that take FLOAT [n, 3], one or two; making some of them takes seconds."""
    formats = formats_of(engines).values()
    files = [ModelFile(format.rows(), (1, 1)) for format in formats if format.rows]
    files += [ModelFile(format.pair(), (2, 2)) for format in formats if format.pair]
    if "ONNX" in engines:
        files.append(ModelFile(Model("ONNX", onnx_models.mul(None)), (2, 1)))
        files.append(ModelFile(Model("ONNX", onnx_models.total()), (1, 1)))
        files.append(ModelFile(Model("ONNX", onnx_models.sequence_output()), (1, 2)))
    return files


class HammerGrammar(Grammar):
    """A stream of commands that depends on the random generator alone."""

    def __init__(self, random: Random, models: Sequence[ModelFile]) -> None:
        super().__init__(random)
        self._models = models
        self._has_scripts = any(file.model.engine == "TORCH" for file in models)

    def command(self) -> Command:
        command = self._valid()
        # A model that waits for others and has no limit would keep its clients for ever, as it should.
        if b"MINBATCHSIZE" not in command:
            while self._chance(DAMAGED_SHARE):
                self._damage(command)
        return command

    def _valid(self) -> Command:
        makers, weights = zip(*self._WEIGHTED)
        return self._random.choices(makers, weights)[0](self)

    def _chance(self, share: float) -> bool:
        return self._random.random() < share

    def _tensor(self, key: bytes) -> Command:
        """Mostly what all models take."""
        if self._chance(0.15):
            command = self._tensor_set()
            command[1] = key
            return command
        rows = self._choice((1, 1, 1, 2, 5, 40))
        command = [b"AI.TENSORSET", key, b"FLOAT", b"%d" % rows, b"%d" % WIDTH]
        return command if self._chance(0.1) else [*command, b"BLOB", self._random.randbytes(rows * WIDTH * 4)]

    def _any_tensor(self) -> Command:
        return self._tensor(self._choice(TENSOR_KEYS))

    def _store(self) -> Command:
        key = self._choice(MODEL_KEYS)
        usual = [file for file in self._models if file.counts == _COUNTS[key]]
        model = self._choice(usual if usual and self._chance(0.9) else self._models).model
        words = [self._choice((b"AI.MODELSTORE", b"AI.MODELSTORE", b"AI.MODELSET")), key]
        words += [model.engine.encode(), self._choice(DEVICES)]
        if self._chance(0.2):
            words += [b"TAG", b"v1"]
        if self._chance(0.5):
            words += [b"BATCHSIZE", self._choice((b"1", b"2", b"8", b"64"))]
            if self._chance(0.3):
                words += [b"MINBATCHSIZE", self._choice((b"1", b"2", b"4")), b"MINBATCHTIMEOUT", b"3"]
        names = [encode_argument(word) for word in model.options]
        if words[0] == b"AI.MODELSET":
            names = [word for word in names if not word.isdigit()]
        return [*words, *names, b"BLOB", model.blob]

    def _inputs_and_outputs(self, inputs: int, outputs: int) -> tuple[list[bytes], list[bytes]]:
        return self._random.choices(TENSOR_KEYS, k=inputs), self._random.choices(TENSOR_KEYS, k=outputs)

    def _execute(self, deprecated: bool = False, limited: bool = True) -> Command:
        key = self._choice(MODEL_KEYS)
        counts = _COUNTS[key] if self._chance(0.95) else self._choice(((1, 1), (2, 1), (1, 2), (2, 2)))
        inputs, outputs = self._inputs_and_outputs(*counts)
        limit = [b"TIMEOUT", self._choice(_TIMEOUTS)] if limited and self._chance(0.2) else []
        if deprecated:
            return [b"AI.MODELRUN", key, *limit, b"INPUTS", *inputs, b"OUTPUTS", *outputs]
        sections = [b"INPUTS", b"%d" % len(inputs), *inputs, b"OUTPUTS", b"%d" % len(outputs), *outputs]
        return [b"AI.MODELEXECUTE", key, *sections, *limit]

    def _any_execute(self) -> Command:
        return self._execute(deprecated=self._chance(0.3))

    def _script_store(self) -> Command:
        if not self._has_scripts:
            return self._store()
        key, device = self._choice(SCRIPT_KEYS), self._choice(DEVICES)
        if self._chance(0.2):
            return [b"AI.SCRIPTSET", key, device, b"SOURCE", SCRIPT.encode()]
        points = [name.encode() for name in SCRIPT_ENTRY_POINTS]
        return [
            b"AI.SCRIPTSTORE",
            key,
            device,
            b"ENTRY_POINTS",
            b"%d" % len(points),
            *points,
            b"SOURCE",
            SCRIPT.encode(),
        ]

    def _call(self, deprecated: bool = False, limited: bool = True) -> Command:
        function = self._choice((*SCRIPT_ENTRY_POINTS, "nothing")).encode()
        inputs, outputs = self._inputs_and_outputs(2, 2 if function == b"sum_and_difference" else 1)
        limit = [b"TIMEOUT", self._choice(_TIMEOUTS)] if limited and self._chance(0.2) else []
        words = [b"AI.SCRIPTRUN" if deprecated else b"AI.SCRIPTEXECUTE", self._choice(SCRIPT_KEYS), function]
        if deprecated:
            return [*words, *limit, b"INPUTS", *inputs, b"OUTPUTS", *outputs]
        argument = self._choice(MODEL_KEYS) if function == b"through_model" else self._choice(_TURNS)
        words += [b"KEYS", b"1", b"counter", b"INPUTS", b"2", *inputs, b"ARGS", b"1", argument]
        return [*words, b"OUTPUTS", b"%d" % len(outputs), *outputs, *limit]

    def _any_call(self) -> Command:
        return self._call(deprecated=self._chance(0.3))

    def _dag(self) -> Command:
        deprecated, read_only = self._chance(0.3), self._chance(0.3)
        words = [b"AI.DAGRUN" if deprecated else b"AI.DAGEXECUTE"]
        if read_only:
            words[0] += b"_RO"
        operations = [self._operation(deprecated, read_only) for _ in range(self._random.choice((1, 2, 3, 5, 8)))]
        if self._chance(0.7):
            # Some names then have a tensor to begin with, and all others have one as well.
            operations[:0] = [self._tensor(key) for key in self._random.sample(TENSOR_KEYS, 4)]
        loaded = self._random.sample(TENSOR_KEYS, self._random.choice((0, 1, 2, 4)))
        words += [b"LOAD", b"%d" % len(loaded), *loaded] if loaded else []
        if not read_only and self._chance(0.5):
            persisted = self._random.sample(TENSOR_KEYS, self._random.choice((1, 2)))
            words += [b"PERSIST", b"%d" % len(persisted), *persisted]
        words += [b"ROUTING", b"t0"] if self._chance(0.4) else []
        words += [b"TIMEOUT", self._choice(_TIMEOUTS)] if self._chance(0.2) else []
        return [*words, *(word for operation in operations for word in (b"|>", *operation))]

    def _operation(self, deprecated: bool, read_only: bool) -> Command:
        share = self._random.random()
        if share < 0.15:
            return self._any_tensor()
        if share < 0.4:
            return self._tensor_get()
        if share < 0.55 and self._has_scripts and (deprecated or not read_only):
            return self._call(deprecated, limited=False)
        return self._execute(deprecated, limited=False)

    def _look(self) -> Command:
        key = self._choice((*MODEL_KEYS, *SCRIPT_KEYS, *TENSOR_KEYS))
        tails: list[Command] = [[], [b"META"], [b"BLOB"], [b"SOURCE"], [b"RESETSTAT"]]
        name = self._choice((b"AI.MODELGET", b"AI.SCRIPTGET", b"AI.INFO", b"AI.INFO"))
        return [name, key, *self._choice(tails)]

    def _scan(self) -> Command:
        return [self._choice((b"AI._MODELSCAN", b"AI._SCRIPTSCAN"))]

    def _delete(self) -> Command:
        pairs = ((b"AI.MODELDEL", MODEL_KEYS), (b"AI.SCRIPTDEL", SCRIPT_KEYS), (b"DEL", TENSOR_KEYS))
        name, keys = self._choice((*pairs, (b"UNLINK", [*MODEL_KEYS, *SCRIPT_KEYS, *TENSOR_KEYS])))
        return [name, self._choice(keys)]

    def _of_server(self) -> Command:
        """Commands of the server about keys of the module."""
        key = self._choice([*MODEL_KEYS, *SCRIPT_KEYS, *TENSOR_KEYS])
        commands: list[Command] = [
            [b"TYPE", key],
            [b"DUMP", key],
            [b"MEMORY", b"USAGE", key],
            [b"OBJECT", b"ENCODING", key],
            [b"INFO", b"modules"],
            [b"INFO", b"everything"],
            [b"CONFIG", b"GET", b"ai.*"],
            [b"COMMAND", b"GETKEYS", *self._dag()],
            [b"COMMAND", b"INFO", b"ai.dagexecute"],
            [b"SLOWLOG", b"GET", b"5"],
        ]
        return self._choice(commands)

    def _move(self) -> Command:
        """A key gets another value, name or end, mostly among those of its kind."""
        kind = self._choice((MODEL_KEYS, SCRIPT_KEYS, TENSOR_KEYS, [*MODEL_KEYS, *TENSOR_KEYS]))
        key, other = self._random.sample(kind, 2)
        commands: list[Command] = [
            [b"RENAME", key, other],
            [b"COPY", key, other, b"REPLACE"],
            [b"PEXPIRE", key, b"20"],
            [b"SET", key, b"text", b"PX", b"20"],
        ]
        return self._choice(commands)

    def _flush(self) -> Command:
        return [self._choice((b"FLUSHALL", b"FLUSHDB")), self._choice((b"SYNC", b"ASYNC"))]

    _WEIGHTED: list[tuple[Callable[[HammerGrammar], Command], float]] = [
        (_any_tensor, 22),
        (Grammar._tensor_get, 12),
        (_any_execute, 30),
        (_any_call, 6),
        (_dag, 16),
        # Building models takes a hundred times as long as running them.
        (_store, 1.5),
        (_script_store, 0.4),
        (_look, 4),
        (_scan, 1),
        (_delete, 0.5),
        (_of_server, 3),
        (_move, 0.3),
        (Grammar._config, 1),
        (_flush, 0.02),
    ]
