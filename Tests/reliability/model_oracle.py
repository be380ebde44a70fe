"""Decides what the other commands may answer: an independent reading of the grammar of models, INFO and CONFIG.

What the engine says of a model or a run is left open; what the parser has to refuse is not.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from reliability import numbers
from reliability.expectation import (
    FAILS,
    IN_TRANSACTION,
    NO_MODEL,
    NO_TENSOR,
    OPEN,
    SUCCEEDS,
    WRONG_TYPE,
    Expectation,
    fails,
    fails_with_prefix,
    wrong_arity,
)
from reliability.keyspace import UNKNOWN, Keyspace, ModelValue, is_model, is_tensor

Command = Sequence[bytes]

_DEVICE = re.compile(rb"(?:CPU|GPU)(?::[0-9]*)?", re.IGNORECASE).fullmatch
_DEVICE_LENGTH_LIMIT = 9
_BACKENDS = (b"TF", b"TFLITE", b"TORCH", b"ONNX")
_OPTIONS = (b"BATCHSIZE", b"MINBATCHSIZE", b"MINBATCHTIMEOUT")

NO_BLOB = fails("ERR Insufficient arguments, missing model BLOB")
EXPECTED_BLOB = fails("ERR Invalid argument, expected BLOB")
BAD_INPUT_COUNT = fails("ERR Invalid argument for input_count")
BAD_OUTPUT_COUNT = fails("ERR Invalid argument for output_count")
BAD_TIMEOUT = fails("ERR Invalid value for TIMEOUT")


# AI.MODELSTORE


def expect_store(
    command: Command, keys: Keyspace, models: Mapping[bytes, ModelValue], may_block: bool
) -> Expectation:
    """``models`` are the files that the engine is known to accept; others are for the engine to judge."""
    if len(command) < 6:
        return wrong_arity(command[0])
    if command[2].upper() not in _BACKENDS:
        return fails("ERR unsupported backend")
    if not _DEVICE(command[3]) or len(command[3]) > _DEVICE_LENGTH_LIMIT:
        return fails("ERR Invalid DEVICE")
    options = _options(command, 4)
    refusal, position = options.refusal, options.position
    if refusal is None:
        refusal, position = _names(command, position)
    if refusal is None:
        refusal = _blob(command, position)
    if refusal is not None:
        return refusal if options.certain else FAILS
    existing = keys.get(command[1])
    if existing is not None and is_model(existing) is False:
        return FAILS
    if not may_block or existing is UNKNOWN or not options.certain:
        # Where nobody can wait, the model is stored first and built afterwards.
        return OPEN
    if command[2].upper() != b"ONNX":
        # Other engines are not part of this build.
        return FAILS
    fits = b"".join(command[position + 1 :]) in models and command[3].upper() == b"CPU"
    return SUCCEEDS if fits else OPEN


@dataclass(slots=True)
class _Options:
    """TAG and the numbers for batching. ``certain`` is False when a number has a form that servers may read or not."""

    position: int
    refusal: Expectation | None = None
    certain: bool = True


def _options(command: Command, position: int) -> _Options:
    """Reads the options in their order."""
    if _word(command, position) == b"TAG":
        position += 2
    options = _Options(position)
    # Whether a number is above 0; None: not known.
    values: dict[bytes, bool | None] = {}
    for option in _OPTIONS:
        if _word(command, options.position) != option:
            continue
        value = _argument(command, options.position + 1)
        valid = False if value is None else numbers.is_count(value)
        options.certain = options.certain and valid is not None
        values[option] = None if valid is None else value != b"0"
        options.position += 2
        if valid is False:
            options.refusal = fails(f"ERR Invalid argument for {option.decode()}")
        else:
            options.refusal = _missing_companion(values, option)
        if options.refusal:
            return options
    if options.position >= len(command):
        options.refusal = NO_BLOB
    return options


def _missing_companion(values: Mapping[bytes, bool | None], option: bytes) -> Expectation | None:
    """Refuses a number above 0 without the one it needs; ``values`` says which are above 0 (None: not known)."""
    companions = {b"MINBATCHSIZE": b"BATCHSIZE", b"MINBATCHTIMEOUT": b"MINBATCHSIZE"}
    companion = companions.get(option)
    if companion is None or values[option] is not True or values.get(companion, False) is not False:
        return None
    return fails(f"ERR {option.decode()} specified without {companion.decode()}")


def _names(command: Command, position: int) -> tuple[Expectation | None, int]:
    """INPUTS and OUTPUTS, which TF needs and the others refuse."""
    if command[2].upper() != b"TF":
        if _word(command, position) == b"INPUTS":
            return fails("ERR INPUTS argument should not be specified for this backend"), position
        return None, position
    for section, direction in ((b"INPUTS", "input"), (b"OUTPUTS", "output")):
        if _word(command, position) != section:
            return fails(f"ERR {section.decode()} not specified for TF"), position
        count = _argument(command, position + 1)
        number = None if count is None else numbers.integer(count)
        if number is None or number < 1:
            return (BAD_INPUT_COUNT if direction == "input" else BAD_OUTPUT_COUNT), position
        position += 2
        if number > len(command) - position:
            text = f"ERR number of model {direction}s does not match the number of given arguments"
            return fails(text), position
        position += number
    return None, position


def _blob(command: Command, position: int) -> Expectation | None:
    if _word(command, position) != b"BLOB":
        return EXPECTED_BLOB
    return NO_BLOB if position + 1 == len(command) else None


def stored_blob(command: Command) -> bytes:
    """The model file of a command whose grammar is in order."""
    _, position = _names(command, _options(command, 4).position)
    return b"".join(command[position + 1 :])


# AI.MODELEXECUTE


def expect_execute(command: Command, keys: Keyspace, may_block: bool) -> Expectation:
    if not may_block:
        return IN_TRANSACTION
    if len(command) < 8:
        return wrong_arity(b"AI.MODELEXECUTE")
    model = keys.get(command[1])
    if model is None:
        return NO_MODEL
    if model is not UNKNOWN and not is_model(model):
        return WRONG_TYPE
    known = model if isinstance(model, ModelValue) else ModelValue(None, None)
    refusal = _call_refusal(command, keys, known)
    if refusal is None:
        return OPEN
    return refusal if known.inputs is not None else FAILS


def _call_refusal(command: Command, keys: Keyspace, model: ModelValue) -> Expectation | None:
    refusal, position = _section(command, 2, "input", model.inputs)
    inputs = command[4:position]
    if refusal is None:
        refusal, position = _section(command, position, "output", model.outputs)
    if refusal is None:
        refusal = _tail(command, position)
    return refusal or _inputs_refusal(inputs, keys)


def _section(command: Command, position: int, direction: str, expected: int | None) -> tuple[Expectation | None, int]:
    """``INPUTS n key ...`` or ``OUTPUTS n key ...``; the position after it."""
    label = direction.upper() + "S"
    if _word(command, position) != label.encode():
        return fails(f"ERR {label} not specified"), position
    argument = _argument(command, position + 1)
    count = None if argument is None else numbers.integer(argument)
    if count is None:
        return (BAD_INPUT_COUNT if direction == "input" else BAD_OUTPUT_COUNT), position
    if count < 1:
        return fails(f"ERR {direction.capitalize()} count must be a positive integer"), position
    if expected is not None and count != expected:
        return fails(f"Number of keys given as {label} here does not match model definition"), position
    if count > len(command) - position - 2:
        text = f"ERR number of {direction} keys to AI.MODELEXECUTE command does not match the number of given arguments"
        return fails(text), position
    return None, position + 2 + count


def _tail(command: Command, position: int) -> Expectation | None:
    """``[TIMEOUT ms]`` and nothing else."""
    if _word(command, position) == b"TIMEOUT":
        value = _argument(command, position + 1)
        if value is None:
            return fails("ERR No value provided for TIMEOUT")
        milliseconds = numbers.integer(value)
        if milliseconds is None or milliseconds < 1:
            return BAD_TIMEOUT
        position += 2
    return None if position >= len(command) else fails_with_prefix("Invalid argument: ")


def _inputs_refusal(inputs: Command, keys: Keyspace) -> Expectation | None:
    for key in inputs:
        value = keys.get(key)
        if value is None:
            return NO_TENSOR
        if value is UNKNOWN:
            return None
        if not is_tensor(value):
            return WRONG_TYPE
    return None


def output_keys(command: Command) -> Command:
    """The output keys of a command whose grammar is in order."""
    _, position = _section(command, 2, "input", None)
    _, end = _section(command, position, "output", None)
    return command[position + 2 : end]


# The small ones


def expect_get(command: Command, keys: Keyspace) -> Expectation:
    if not 2 <= len(command) <= 4:
        return wrong_arity(command[0])
    return _of_model(command, keys)


def expect_delete(command: Command, keys: Keyspace) -> Expectation:
    if len(command) != 2:
        return wrong_arity(command[0])
    return _of_model(command, keys)


def _of_model(command: Command, keys: Keyspace) -> Expectation:
    value = keys.get(command[1])
    if value is None:
        return NO_MODEL
    if value is UNKNOWN:
        return OPEN
    return SUCCEEDS if is_model(value) else WRONG_TYPE


def expect_scan(command: Command) -> Expectation:
    return SUCCEEDS if len(command) == 1 else wrong_arity(command[0])


def expect_info(command: Command) -> Expectation:
    """The table of statistics outlives keys by moments, so only the form of the command is judged."""
    return OPEN if 2 <= len(command) <= 3 else wrong_arity(command[0])


def expect_config(command: Command) -> Expectation:
    if len(command) < 2:
        return wrong_arity(command[0])
    expect = _CONFIG.get(command[1].upper())
    return expect(command) if expect else fails("ERR unsupported subcommand")


def _config_load(command: Command) -> Expectation:
    """The engine is loaded already, so that even the right path has to be refused."""
    if len(command) < 4:
        return wrong_arity(command[0])
    if command[2].upper() not in _BACKENDS:
        return fails("ERR unsupported backend")
    return fails("ERR error loading backend")


def _config_path(command: Command) -> Expectation:
    return SUCCEEDS if len(command) > 2 else fails("ERR BACKENDSPATH: missing path argument")


def _config_chunk_size(command: Command) -> Expectation:
    if len(command) < 3:
        return fails("ERR MODEL_CHUNK_SIZE: missing chunk size")
    size = numbers.integer(command[2])
    return SUCCEEDS if size is not None and size > 0 else fails("ERR MODEL_CHUNK_SIZE: invalid chunk size")


def _config_get(command: Command) -> Expectation:
    return SUCCEEDS if len(command) > 2 else wrong_arity(command[0])


def _config_maps(command: Command) -> Expectation:
    known = len(command) > 2 and command[2].upper() in (b"TENSOR", b"SKIP")
    return SUCCEEDS if known else FAILS


_CONFIG: dict[bytes, Callable[[Command], Expectation]] = {
    b"LOADBACKEND": _config_load,
    b"BACKENDSPATH": _config_path,
    b"MODEL_CHUNK_SIZE": _config_chunk_size,
    b"ONNX_MAP_OUTPUTS": _config_maps,
    b"GET": _config_get,
}


def _argument(command: Command, position: int) -> bytes | None:
    return command[position] if position < len(command) else None


def _word(command: Command, position: int) -> bytes | None:
    return command[position].upper() if position < len(command) else None
