"""Reads a DAG command as the contract says (3.15 and 4.9 with 4.1 to 4.5), or says what is wrong with it.

An independent and naive reading: word by word, from left to right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from reliability import numbers
from reliability.dag_models import BY_KEY, SCRIPTS
from reliability.expectation import NO_MODEL, NO_TENSOR, WRONG_TYPE, Expectation, fails, wrong_arity
from reliability.keyspace import Keyspace, TensorValue, is_tensor
from reliability.model_oracle import BAD_INPUT_COUNT, BAD_OUTPUT_COUNT
from reliability.tensor_oracle import TensorOracle

Words = Sequence[bytes]
CLAUSES = (b"LOAD", b"PERSIST", b"ROUTING", b"TIMEOUT")
TIMEOUT_IN_OPERATION = fails("ERR TIMEOUT not allowed within a DAG command")
_TENSOR_FORMATS = {b"META", b"BLOB", b"VALUES"}
_SIZE_LIMIT = 512 * 1024 * 1024


class Refused(Exception):
    """The command has an error that is found while it is read."""

    def __init__(self, expectation: Expectation) -> None:
        super().__init__(expectation)
        self.expectation = expectation


class Unsure(Exception):
    """The contract does not say what has to happen. So it is with a ``|>`` that stands where data is expected."""


@dataclass(frozen=True)
class Source:
    """Where a tensor comes from: the keyspace (``operation`` is None), or an output of an operation."""

    operation: int | None
    output: int | bytes


@dataclass
class Operation:
    """One operation; ``inputs`` are names until ``sources`` says what they refer to."""

    name: bytes
    device: str = "CPU"
    key: bytes = b""
    function: bytes = b""
    inputs: list[bytes] = field(default_factory=list)
    outputs: list[bytes] = field(default_factory=list)
    sources: list[Source] = field(default_factory=list)
    # Of AI.TENSORSET the tensor, of AI.TENSORGET the words after the key.
    value: TensorValue | None = None
    format: list[bytes] = field(default_factory=list)
    # Of a script.
    keys: list[bytes] = field(default_factory=list)
    arguments: list[bytes] = field(default_factory=list)

    @property
    def is_run(self) -> bool:
        return bool(self.key)


@dataclass
class Graph:
    """A DAG that has no errors of form."""

    operations: list[Operation] = field(default_factory=list)
    loaded: list[bytes] = field(default_factory=list)
    persisted: dict[bytes, Source] = field(default_factory=dict)
    timeout: int = 0


def parse(words: Words, keys: Keyspace) -> Graph:
    """Raises ``Refused`` or ``Unsure``. ``keys`` are those that can be loaded."""
    name = words[0].upper()
    if len(words) < (6 if b"EXECUTE" in name else 4):
        if b"EXECUTE" in name:
            raise Refused(fails(f"ERR missing arguments for '{name.decode()}' command"))
        raise Refused(wrong_arity(name))
    header = _Header(name, words, keys)
    position = header.read()
    graph = header.graph
    if b"EXECUTE" in name and not header.seen & {b"LOAD", b"PERSIST", b"ROUTING"}:
        text = (
            "ERR AI.DAGEXECUTE and AI.DAGEXECUTE_RO commands must contain at least one out of ROUTING, LOAD, PERSIST "
            "keywords"
        )
        raise Refused(fails(text))
    parts = _split(words[position:])
    if not parts:
        raise Refused(fails("ERR DAG is empty"))
    for part in parts:
        graph.operations.append(_Reader(name, part).read())
    _resolve(graph, header.persist)
    return graph


class _Header:
    """The clauses before the first operation."""

    def __init__(self, name: bytes, words: Words, keys: Keyspace) -> None:
        self._name = name
        self._words = words
        self._keys = keys
        self.graph = Graph()
        self.persist: list[bytes] = []
        self.seen: set[bytes] = set()

    def read(self) -> int:
        """The position of the first ``|>``."""
        position = 1
        while position < len(self._words):
            word = self._words[position].upper()
            if word == b"|>":
                if self._words[-1] == b"|>":
                    if self._words[-2].upper() == b"BLOB":
                        raise Unsure
                    self._unexpected(b"|>")
                return position
            if word not in CLAUSES or word in self.seen:
                self._unexpected(self._words[position])
            self.seen.add(word)
            position = self._CLAUSES[word](self, position)
        return position

    def _unexpected(self, word: bytes) -> None:
        raise Refused(fails(f"ERR Invalid DAG command. Unexpected argument:  {word.decode('utf-8', 'replace')}"))

    def _load(self, position: int) -> int:
        count = self._count(position, "LOAD", "number of keys to LOAD")
        for key in self._words[position + 2 : position + 2 + count]:
            value = self._keys.get(key)
            if value is None:
                raise Refused(NO_TENSOR)
            if not is_tensor(value):
                raise Refused(WRONG_TYPE)
            self.graph.loaded.append(key)
        if position + 2 + count > len(self._words):
            text = "ERR number of keys to LOAD into DAG does not match the number of given arguments"
            raise Refused(fails(text))
        return position + 2 + count

    def _persist(self, position: int) -> int:
        if self._name.endswith(b"_RO"):
            raise Refused(fails("ERR PERSIST cannot be specified in a read-only DAG"))
        count = self._count(position, "PERSIST", "number of keys to PERSIST")
        self.persist = list(self._words[position + 2 : position + 2 + count])
        if len(set(self.persist)) < len(self.persist):
            raise Refused(fails("ERR PERSIST keys must be unique"))
        if position + 2 + count > len(self._words):
            text = "ERR number of keys to PERSIST after DAG execution does not match the number of given arguments"
            raise Refused(fails(text))
        return position + 2 + count

    def _count(self, position: int, clause: str, what: str) -> int:
        if len(self._words) - position - 1 < 2:
            raise Refused(fails(f"ERR missing arguments after {clause} keyword in DAG command"))
        count = numbers.integer(self._words[position + 1])
        if count is None or count < 1:
            raise Refused(fails(f"ERR invalid or negative value found in {what}"))
        return count

    def _routing(self, position: int) -> int:
        if position + 1 == len(self._words):
            raise Refused(fails("ERR Missing ROUTING value"))
        return position + 2

    def _timeout(self, position: int) -> int:
        if position + 1 == len(self._words):
            raise Refused(fails("ERR No value provided for TIMEOUT"))
        milliseconds = numbers.integer(self._words[position + 1])
        if milliseconds is None:
            raise Refused(fails("ERR Invalid value for TIMEOUT"))
        self.graph.timeout = max(0, milliseconds)
        return position + 2

    _CLAUSES = {b"LOAD": _load, b"PERSIST": _persist, b"ROUTING": _routing, b"TIMEOUT": _timeout}


def _split(words: Words) -> list[list[bytes]]:
    """The words of each operation; every operation begins with a ``|>``."""
    parts: list[list[bytes]] = []
    for word in words:
        if word == b"|>":
            parts.append([])
        else:
            parts[-1].append(word)
    return parts


class _Reader:
    """One operation."""

    def __init__(self, dag: bytes, words: list[bytes]) -> None:
        self._dag = dag
        self._words = words

    def read(self) -> Operation:
        name = self._words[0].upper() if self._words else b""
        if name in CLAUSES:
            raise Unsure
        read = self._OPERATIONS.get(name)
        if read is None:
            raise Refused(fails("Unsupported command within DAG"))
        self._refuse_by_kind(name)
        return read(self, Operation(name))

    def _refuse_by_kind(self, name: bytes) -> None:
        """What one of the commands does not take, though another does."""
        if self._dag.startswith(b"AI.DAGRUN"):
            if name.endswith(b"EXECUTE"):
                text = f"{name.decode()} cannot be used in a deprecated AI.DAGRUN command"
                raise Refused(fails(text))
            return
        if name.endswith(b"RUN"):
            raise Refused(fails(f"Deprecated {name.decode()} cannot be used in AI.DAGEXECUTE command"))
        if name == b"AI.SCRIPTEXECUTE" and self._dag.endswith(b"_RO"):
            text = "ERR AI.SCRIPTEXECUTE command cannot be specified in a read-only DAG"
            raise Refused(fails(text))

    def _tensor_set(self, operation: Operation) -> Operation:
        if len(self._words) < 4:
            raise Refused(fails("wrong number of arguments for 'AI.TENSORSET' command"))
        if self._words[-1].upper() == b"BLOB":
            raise Unsure
        expectation, value = TensorOracle(_SIZE_LIMIT).expect_set(self._words, {})
        if expectation.succeeds is False:
            raise Refused(expectation)
        if expectation.succeeds is None or value is None or value.blob is None:
            raise Unsure
        operation.outputs, operation.value = [self._words[1]], value
        return operation

    def _tensor_get(self, operation: Operation) -> Operation:
        if not 2 <= len(self._words) <= 4:
            raise Refused(fails("wrong number of arguments for 'AI.TENSORGET' command"))
        formats = [word.upper() for word in self._words[2:]]
        if set(formats) - _TENSOR_FORMATS:
            raise Refused(fails("ERR unsupported data format"))
        if {b"BLOB", b"VALUES"} <= set(formats):
            raise Refused(fails("ERR both BLOB and VALUES specified"))
        operation.inputs, operation.format = [self._words[1]], formats
        return operation

    def _model_execute(self, operation: Operation) -> Operation:
        if len(self._words) < 8:
            raise Refused(wrong_arity(b"AI.MODELEXECUTE"))
        inputs, outputs = self._model(operation)
        operation.inputs, position = self._names(2, b"INPUTS", inputs)
        operation.outputs, position = self._names(position, b"OUTPUTS", outputs)
        if position < len(self._words):
            if self._words[position].upper() == b"TIMEOUT":
                raise Refused(TIMEOUT_IN_OPERATION)
            raise Refused(fails(f"Invalid argument: {self._words[position].decode('utf-8', 'replace')}"))
        return operation

    def _model(self, operation: Operation) -> tuple[int, int]:
        found = BY_KEY.get(self._words[1])
        if found is None:
            raise Refused(NO_MODEL)
        operation.key, operation.device = self._words[1], found[1]
        return found[0].inputs, found[0].outputs

    def _names(self, position: int, section: bytes, wanted: int) -> tuple[list[bytes], int]:
        """``INPUTS n name ...`` and the position after it."""
        label, direction = section.decode(), section.decode().lower()[:-1]
        if position >= len(self._words) or self._words[position].upper() != section:
            raise Refused(fails(f"ERR {label} not specified"))
        word = self._words[position + 1] if position + 1 < len(self._words) else b""
        count = numbers.integer(word)
        if count is None:
            raise Refused(BAD_INPUT_COUNT if section == b"INPUTS" else BAD_OUTPUT_COUNT)
        if count < 1:
            raise Refused(fails(f"ERR {direction.capitalize()} count must be a positive integer"))
        if count != wanted:
            raise Refused(fails(f"Number of keys given as {label} here does not match model definition"))
        end = position + 2 + count
        if end > len(self._words):
            text = (
                f"ERR number of {direction} keys to AI.MODELEXECUTE command does not match the number of given "
                "arguments"
            )
            raise Refused(fails(text))
        return list(self._words[position + 2 : end]), end

    def _model_run(self, operation: Operation) -> Operation:
        if len(self._words) < 6:
            raise Refused(wrong_arity(b"AI.MODELRUN"))
        inputs, outputs = self._model(operation)
        words = [word.upper() for word in self._words]
        if words[2] == b"TIMEOUT":
            raise Refused(TIMEOUT_IN_OPERATION)
        if words[2] != b"INPUTS":
            raise Refused(fails("ERR INPUTS not specified"))
        middle = words.index(b"OUTPUTS", 3) if b"OUTPUTS" in words[3:] else len(words)
        operation.inputs, operation.outputs = list(self._words[3:middle]), list(self._words[middle + 1 :])
        if b"INPUTS" in words[3:] or b"OUTPUTS" in words[middle + 1 :]:
            raise Unsure
        for label, names, wanted in (("INPUTS", operation.inputs, inputs), ("OUTPUTS", operation.outputs, outputs)):
            if len(names) != wanted:
                raise Refused(fails(f"Number of keys given as {label} here does not match model definition"))
        return operation

    def _script(self, operation: Operation) -> None:
        if len(self._words) < 3:
            raise Refused(wrong_arity(operation.name))
        device = SCRIPTS.get(self._words[1])
        if device is None:
            raise Refused(fails("ERR script key is empty"))
        operation.key, operation.device, operation.function = self._words[1], device, self._words[2]

    def _script_execute(self, operation: Operation) -> Operation:
        """Only what the campaign makes: every section at most once, with a right count."""
        self._script(operation)
        sections = {
            b"KEYS": operation.keys,
            b"INPUTS": operation.inputs,
            b"ARGS": operation.arguments,
            b"OUTPUTS": operation.outputs,
        }
        position = 3
        while position < len(self._words):
            word = self._words[position].upper()
            if word == b"TIMEOUT":
                raise Refused(TIMEOUT_IN_OPERATION)
            if word not in sections or position + 1 == len(self._words):
                raise Unsure
            count = numbers.integer(self._words[position + 1])
            if count is None or count < 0 or position + 2 + count > len(self._words):
                raise Unsure
            sections.pop(word).extend(self._words[position + 2 : position + 2 + count])
            position += 2 + count
        return operation

    def _script_run(self, operation: Operation) -> Operation:
        self._script(operation)
        target: list[bytes] | None = None
        for word in self._words[3:]:
            name = word.upper()
            if name == b"INPUTS":
                if target is not None:
                    kind = "keyword" if target is operation.inputs else "section"
                    raise Refused(fails(f"ERR Already encountered an INPUTS {kind} in SCRIPTRUN"))
                target = operation.inputs
            elif name == b"OUTPUTS":
                if target is operation.outputs:
                    raise Refused(fails("ERR Already encountered an OUTPUTS keyword in SCRIPTRUN"))
                target = operation.outputs
            elif name in (b"TIMEOUT", b"$"):
                raise Unsure
            elif target is None:
                raise Refused(fails("ERR Unrecongnized parameter to SCRIPTRUN"))
            else:
                target.append(word)
        return operation

    _OPERATIONS = {
        b"AI.TENSORSET": _tensor_set,
        b"AI.TENSORGET": _tensor_get,
        b"AI.MODELEXECUTE": _model_execute,
        b"AI.MODELRUN": _model_run,
        b"AI.SCRIPTEXECUTE": _script_execute,
        b"AI.SCRIPTRUN": _script_run,
    }


def _resolve(graph: Graph, persist: list[bytes]) -> None:
    """Says what every name refers to: the latest version above it."""
    latest = {key: Source(None, key) for key in graph.loaded}
    for index, operation in enumerate(graph.operations):
        for name in operation.inputs:
            if name not in latest:
                raise Refused(fails("ERR INPUT key cannot be found in DAG"))
            operation.sources.append(latest[name])
        for output, name in enumerate(operation.outputs):
            latest[name] = Source(index, output)
    for key in persist:
        if key not in latest:
            raise Refused(fails("ERR PERSIST key cannot be found in DAG"))
        graph.persisted[key] = latest[key]
