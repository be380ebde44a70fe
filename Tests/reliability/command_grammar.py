"""Makes valid commands, and damages them.

Commands are lists of bytes. Keys come from a small pool so that commands meet tensors, models, keys of other types and
keys that hold nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import numpy as np
from support import onnx_models

from reliability.keyspace import ModelValue
from reliability.tensor_oracle import ITEM_SIZES

Command = list[bytes]

# The files that are stored undamaged, with their numbers of inputs and outputs.
MODELS: dict[bytes, ModelValue] = {
    onnx_models.add_constant(1): ModelValue(1, 1),
    onnx_models.mul(): ModelValue(2, 1),
    onnx_models.sum_and_difference(): ModelValue(2, 2),
    onnx_models.identity("STRING"): ModelValue(1, 1),
    onnx_models.identity("INT64", [2, "n"]): ModelValue(1, 1),
    onnx_models.identity("BOOL"): ModelValue(1, 1),
    onnx_models.total(): ModelValue(1, 1),
    onnx_models.non_zero(): ModelValue(1, 1),
    onnx_models.to_float16(): ModelValue(1, 1),
    onnx_models.sequence_output(): ModelValue(1, 2),
}
_BLOBS = list(MODELS)
_BAD_BLOBS = [
    b"",
    onnx_models.NOT_PROTOBUF,
    onnx_models.no_graph(),
    onnx_models.external_initializer("/etc/passwd"),
    onnx_models.external_in_loop("../../x"),
]

TENSOR_KEYS = [b"t%d" % i for i in range(8)]
MODEL_KEYS = [b"m%d" % i for i in range(4)]
OTHER_KEYS = [b"string", b"hash"]
NO_KEYS = [b"none", b"", b"\0", b"none\r\n", b"\xff\xfe"]

_DTYPES = list(ITEM_SIZES)
_WORDS = (
    b"BLOB VALUES META INPUTS OUTPUTS TAG BATCHSIZE MINBATCHSIZE MINBATCHTIMEOUT TIMEOUT ONNX TF TFLITE TORCH CPU GPU "
    b"CPU:1 FLOAT DOUBLE STRING BOOL INT8 UINT32 GET LOADBACKEND BACKENDSPATH MODEL_CHUNK_SIZE RESETSTAT KEYS LOAD "
    b"PERSIST |> SOURCE"
).split()
_NUMBERS = (
    b"0 1 2 3 -1 -0 +1 01 00 1.0 3.0 0.5 1e3 1e400 -1e400 1e-400 nan -nan inf -inf infinity 0x10 0x1p3 .5 5. 1_000 "
    b"127 128 -128 -129 255 256 32767 32768 65535 65536 2147483647 2147483648 -2147483649 4294967295 4294967296 "
    b"1000000000 4611686018427387904 4611686018427387905 9223372036854775807 9223372036854775808 "
    b"-9223372036854775808 -9223372036854775809 18446744073709551615 18446744073709551616 99999999999999999999999"
).split()
_NASTY = [
    b"",
    b"\0",
    b"\r\n",
    b"\r\n+OK\r\n",
    b" ",
    b" 1",
    b"1 ",
    b"1\0",
    b"1\n",
    b"\xff\xfe\xfd",
    b"\xc3\x28",
    b"\xed\xa0\x80",
    "١".encode(),
    b"%s%s%n",
    b"$-1",
    b"*1",
    b"A" * 300,
    b"\0" * 64,
    b"../../etc/passwd",
    b"/dev/zero",
    b"/proc/self/mem",
    b"/",
    b".",
]


class Grammar:
    """A stream of commands that depends on the random generator alone."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._choice = random.choice

    def command(self) -> Command:
        """A command, as a rule a damaged one."""
        while True:
            command = self._valid()
            while self._random.random() < 0.6:
                self._damage(command)
            if not _asks_to_wait_for_ever(command):
                return command

    # Valid commands

    def _valid(self) -> Command:
        share = self._random.random()
        for limit, make in self._MAKERS:
            if share < limit:
                return make(self)
        raise AssertionError("the last share is 1")

    def _tensor_set(self) -> Command:
        dtype = self._choice(_DTYPES)
        dims = [self._random.choice((1, 1, 2, 2, 3, 4)) for _ in range(self._random.choice((0, 1, 1, 1, 2, 2, 3, 4)))]
        count = int(np.prod(dims)) if dims else 1
        command = [self._spelling(b"AI.TENSORSET"), self._choice(TENSOR_KEYS), self._spelling(dtype)]
        command += [b"%d" % dim for dim in dims]
        form = self._random.random()
        if form < 0.45:
            command += [self._spelling(b"BLOB"), self._blob(dtype, count)]
        elif form < 0.9:
            command += [self._spelling(b"VALUES"), *(self._value(dtype) for _ in range(count))]
        elif len(command) < 4:
            command.append(b"1")
        return command

    def _blob(self, dtype: bytes, count: int) -> bytes:
        if dtype == b"STRING":
            return b"".join(self._choice((b"", b"a", b"bc", b"\xff")) + b"\0" for _ in range(count))
        if dtype == b"BOOL":
            return bytes(self._choice((0, 1)) for _ in range(count))
        return self._random.randbytes(count * ITEM_SIZES[dtype])

    def _value(self, dtype: bytes) -> bytes:
        if dtype == b"STRING":
            return self._choice((b"", b"a", b"bc\0", b"\xff\xfe"))
        if dtype in (b"FLOAT", b"DOUBLE"):
            return self._choice((b"1", b"-2.5", b"1e10", b"0.1", b"inf", b"3"))
        return self._choice((b"0", b"1")) if dtype == b"BOOL" else self._choice((b"0", b"1", b"2", b"7", b"100"))

    def _tensor_get(self) -> Command:
        words = [[], [b"META"], [b"BLOB"], [b"VALUES"], [b"META", b"BLOB"], [b"META", b"VALUES"]]
        return [self._spelling(b"AI.TENSORGET"), self._tensor_key(), *self._choice(words)]

    def _model_store(self) -> Command:
        command = [b"AI.MODELSTORE", self._choice(MODEL_KEYS), b"ONNX", self._choice((b"CPU", b"cpu", b"CPU:1"))]
        if self._random.random() < 0.2:
            command += [b"TAG", self._choice((b"", b"v1", b"a b"))]
        if self._random.random() < 0.2:
            command += [b"BATCHSIZE", self._choice((b"0", b"4", b"3.0"))]
            if self._random.random() < 0.5:
                minimum = self._choice((b"0", b"2"))
                command += [b"MINBATCHSIZE", minimum]
                if minimum == b"2" or self._random.random() < 0.5:
                    command += [b"MINBATCHTIMEOUT", b"1"]
        if self._random.random() < 0.15:
            command[2] = self._choice((b"TF", b"TORCH", b"TFLITE"))
        if command[2] == b"TF":
            command += [b"INPUTS", b"2", b"a", b"b", b"OUTPUTS", b"1", b"c"]
        blob = self._choice(_BLOBS if self._random.random() < 0.8 else _BAD_BLOBS)
        middle = self._random.randrange(len(blob) + 1)
        return command + ([b"BLOB", blob] if self._random.random() < 0.8 else [b"BLOB", blob[:middle], blob[middle:]])

    def _model_execute(self) -> Command:
        inputs, outputs = self._choice(((1, 1), (1, 1), (2, 1), (2, 2), (1, 2)))
        command = [b"AI.MODELEXECUTE", self._choice(MODEL_KEYS), b"INPUTS", b"%d" % inputs]
        command += [self._tensor_key() for _ in range(inputs)]
        command += [b"OUTPUTS", b"%d" % outputs]
        command += [self._choice(TENSOR_KEYS) for _ in range(outputs)]
        if self._random.random() < 0.2:
            command += [b"TIMEOUT", self._choice((b"1", b"1000"))]
        return command

    def _model_get(self) -> Command:
        return [b"AI.MODELGET", self._model_key(), *self._choice(([], [b"META"], [b"BLOB"], [b"META", b"BLOB"]))]

    def _model_delete(self) -> Command:
        return [b"AI.MODELDEL", self._model_key()]

    def _model_scan(self) -> Command:
        return [b"AI._MODELSCAN"]

    def _info(self) -> Command:
        return [b"AI.INFO", self._model_key(), *self._choice(([], [b"RESETSTAT"]))]

    def _config(self) -> Command:
        tails: list[Command] = [
            [b"GET", b"BACKENDSPATH"],
            [b"GET", b"MODEL_CHUNK_SIZE"],
            [b"GET", b"nonsense"],
            [b"MODEL_CHUNK_SIZE", self._choice((b"100", b"536870912", b"9223372036854775807"))],
            [b"BACKENDSPATH", self._choice((b"/tmp", b"/", b"", b"nowhere", b"/proc/self/fd"))],
            [b"LOADBACKEND", self._choice((b"TF", b"ONNX", b"TORCH")), self._choice((b".", b"/dev/zero", b"x.so"))],
            [b"ONNX_MAP_OUTPUTS", self._choice((b"TENSOR", b"SKIP"))],
        ]
        return [b"AI.CONFIG", *self._choice(tails)]

    # The first whose limit exceeds a number between 0 and 1.
    _MAKERS: list[tuple[float, Callable[[Grammar], Command]]] = [
        (0.42, _tensor_set),
        (0.60, _tensor_get),
        (0.78, _model_execute),
        (0.88, _model_store),
        (0.92, _model_get),
        (0.94, _model_delete),
        (0.955, _model_scan),
        (0.97, _info),
        (1.0, _config),
    ]

    def _tensor_key(self) -> bytes:
        return self._choice(TENSOR_KEYS) if self._random.random() < 0.95 else self._any_key()

    def _model_key(self) -> bytes:
        return self._choice(MODEL_KEYS) if self._random.random() < 0.9 else self._any_key()

    def _any_key(self) -> bytes:
        return self._choice((*TENSOR_KEYS, *MODEL_KEYS, *OTHER_KEYS, *NO_KEYS))

    def _spelling(self, word: bytes) -> bytes:
        """Names and keywords are matched whatever their case."""
        return word if self._random.random() < 0.9 else self._choice((word.lower(), word.swapcase(), word.title()))

    # Damage

    def _damage(self, command: Command) -> None:
        self._choice(self._DAMAGES)(self, command)

    def _position(self, command: Command) -> int:
        """Anywhere but at the command's name; there may be nothing but that."""
        return self._random.randrange(1, max(2, len(command)))

    def _drop(self, command: Command) -> None:
        position = self._position(command)
        del command[position : position + 1]

    def _truncate(self, command: Command) -> None:
        del command[self._position(command) :]

    def _duplicate(self, command: Command) -> None:
        position = self._position(command)
        command[position:position] = command[position : position + self._choice((1, 1, 1, 2, 5))]

    def _swap(self, command: Command) -> None:
        first, second = self._position(command), self._position(command)
        if max(first, second) < len(command):
            command[first], command[second] = command[second], command[first]

    def _insert(self, command: Command) -> None:
        command.insert(self._position(command), self._token())

    def _append(self, command: Command) -> None:
        command.extend(self._token() for _ in range(self._choice((1, 1, 2, 3))))

    def _replace(self, command: Command) -> None:
        position = self._position(command)
        command[position : position + 1] = [self._token()]

    def _change_number(self, command: Command) -> None:
        """Counts, dims and values are what a parser trusts most."""
        positions = [index for index, word in enumerate(command) if word.isdigit()]
        if positions:
            command[self._choice(positions)] = self._choice(_NUMBERS)

    def _flip_byte(self, command: Command) -> None:
        position = self._position(command)
        if position < len(command) and command[position]:
            argument = bytearray(command[position])
            argument[self._random.randrange(len(argument))] = self._random.randrange(256)
            command[position] = bytes(argument)

    def _resize(self, command: Command) -> None:
        """An argument loses its end or gets a longer one: blobs that do not fit."""
        position = self._position(command)
        if position < len(command):
            argument = command[position]
            if self._random.random() < 0.5:
                command[position] = argument[: self._random.randrange(len(argument) + 1)]
            else:
                command[position] = argument + self._choice((b"\0", b"x", b"\0\0\0\0", b"y" * 700, argument))

    def _many_dims(self, command: Command) -> None:
        dim = self._choice((b"1", b"1", b"2", b"1000000", b"9223372036854775807"))
        command[3:3] = [dim] * self._choice((8, 9, 60, 63, 64, 65, 1000))

    def _other_key(self, command: Command) -> None:
        command[1:2] = [self._any_key()]

    _DAMAGES: list[Callable[[Grammar, Command], None]] = [
        _drop,
        _truncate,
        _duplicate,
        _swap,
        _insert,
        _append,
        _replace,
        _replace,
        _change_number,
        _change_number,
        _change_number,
        _flip_byte,
        _resize,
        _other_key,
        _many_dims,
    ]

    def _token(self) -> bytes:
        share = self._random.random()
        if share < 0.35:
            return self._choice(_NUMBERS)
        if share < 0.65:
            return self._spelling(self._choice(_WORDS))
        if share < 0.75:
            return self._any_key()
        if share < 0.9:
            return self._choice(_NASTY)
        return self._random.randbytes(self._random.randrange(40))


def _asks_to_wait_for_ever(command: Command) -> bool:
    """Whether it may store a model whose runs wait for others without limit: they would keep their client, as they should."""
    words = [word.upper() for word in command]
    pairs = list(zip(words, words[1:]))
    has_limit = (b"MINBATCHTIMEOUT", b"1") in pairs
    return not has_limit and any(word == b"MINBATCHSIZE" and value not in (b"0", b"-1") for word, value in pairs)
