"""Reference sections 4.2 and 4.5: errors found while AI.MODELEXECUTE is parsed, in the order of the checks."""

import pytest

from support import onnx_models
from support.commands import NO_MODEL, NO_TENSOR, WRONGTYPE, set_tensor, stats, store_model, words, wrong_arity
from support.resp import Error

NO_INPUTS = Error("ERR INPUTS not specified")
NO_OUTPUTS = Error("ERR OUTPUTS not specified")
INPUT_COUNT = Error("ERR Invalid argument for input_count")
OUTPUT_COUNT = Error("ERR Invalid argument for output_count")
INPUT_POSITIVE = Error("ERR Input count must be a positive integer")
OUTPUT_POSITIVE = Error("ERR Output count must be a positive integer")
INPUT_MISMATCH = Error("Number of keys given as INPUTS here does not match model definition")
OUTPUT_MISMATCH = Error("Number of keys given as OUTPUTS here does not match model definition")
INPUTS_MISSING = Error(
    "ERR number of input keys to AI.MODELEXECUTE command does not match the number of given arguments"
)
OUTPUTS_MISSING = Error(
    "ERR number of output keys to AI.MODELEXECUTE command does not match the number of given arguments"
)
TIMEOUT_VALUE = Error("ERR No value provided for TIMEOUT")
TIMEOUT = Error("ERR Invalid value for TIMEOUT")
MODELS = {
    "m11": onnx_models.add_constant(1),
    "m22": onnx_models.sum_and_difference(),
    **{f"m{inputs}1": onnx_models.sum_of(inputs) for inputs in (3, 4, 5)},
}
KEPT_KEYS = tuple(MODELS)


def stray(word: str) -> Error:
    return Error(f"Invalid argument: {word}")


@pytest.fixture
def keys(raw):
    """Models by number of inputs and outputs (m11, m22, m31 ...), tensor ``a``, string ``s``."""
    for key, blob in MODELS.items():
        if not raw.call("EXISTS", key):
            store_model(raw, key, blob)
    set_tensor(raw, "a", [1])
    raw.call("SET", "s", "text")


@pytest.mark.parametrize(
    "arguments, error",
    [
        # model key
        ("none INPUTS 1 a OUTPUTS 1 o", NO_MODEL),
        ("s INPUTS 1 a OUTPUTS 1 o", WRONGTYPE),
        ("a INPUTS 1 a OUTPUTS 1 o", WRONGTYPE),
        # INPUTS
        ("m11 FOO 1 a OUTPUTS 1 o", NO_INPUTS),
        ("m11 OUTPUTS 1 o INPUTS 1 a", NO_INPUTS),
        ("m11 TIMEOUT 5 INPUTS 1 a OUTPUTS 1 o", NO_INPUTS),
        ("m11 INPUTS foo a OUTPUTS 1 o", INPUT_COUNT),
        ("m11 INPUTS a OUTPUTS 1 o x", INPUT_COUNT),
        ("m11 INPUTS 1.5 a OUTPUTS 1 o", INPUT_COUNT),
        ("m11 INPUTS 99999999999999999999 a OUTPUTS 1 o", INPUT_COUNT),
        ("m11 INPUTS 0 a OUTPUTS 1 o", INPUT_POSITIVE),
        ("m11 INPUTS -1 a OUTPUTS 1 o", INPUT_POSITIVE),
        ("m11 INPUTS 2 a a OUTPUTS 1 o", INPUT_MISMATCH),
        ("m22 INPUTS 1 a OUTPUTS 2 o p", INPUT_MISMATCH),
        ("m11 INPUTS 9223372036854775807 a OUTPUTS 1 o", INPUT_MISMATCH),
        ("m51 INPUTS 5 a a a a", INPUTS_MISSING),
        # OUTPUTS
        ("m41 INPUTS 4 a a a a", NO_OUTPUTS),
        ("m11 INPUTS 1 a FOO 1 o", NO_OUTPUTS),
        ("m11 INPUTS 1 a a OUTPUTS 1 o", NO_OUTPUTS),
        ("m31 INPUTS 3 a a a OUTPUTS", OUTPUT_COUNT),
        ("m11 INPUTS 1 a OUTPUTS foo o", OUTPUT_COUNT),
        ("m11 INPUTS 1 a OUTPUTS o p", OUTPUT_COUNT),
        ("m11 INPUTS 1 a OUTPUTS 0 o", OUTPUT_POSITIVE),
        ("m11 INPUTS 1 a OUTPUTS -5 o", OUTPUT_POSITIVE),
        ("m11 INPUTS 1 a OUTPUTS 2 o p", OUTPUT_MISMATCH),
        ("m22 INPUTS 2 a a OUTPUTS 1 o", OUTPUT_MISMATCH),
        ("m22 INPUTS 2 a a OUTPUTS 2 o", OUTPUTS_MISSING),
        ("m31 INPUTS 3 a a a OUTPUTS 1", OUTPUTS_MISSING),
        # TIMEOUT and what follows
        ("m11 INPUTS 1 a OUTPUTS 1 o TIMEOUT", TIMEOUT_VALUE),
        ("m11 INPUTS 1 a OUTPUTS 1 o timeout foo", TIMEOUT),
        ("m11 INPUTS 1 a OUTPUTS 1 o TIMEOUT 0", TIMEOUT),
        ("m11 INPUTS 1 a OUTPUTS 1 o TIMEOUT -1", TIMEOUT),
        ("m11 INPUTS 1 a OUTPUTS 1 o TIMEOUT 1.5", TIMEOUT),
        ("m11 INPUTS 1 a OUTPUTS 1 o TIMEOUT 9223372036854775808", TIMEOUT),
        ("m11 INPUTS 1 a OUTPUTS 1 o p", stray("p")),
        ("m11 INPUTS 1 a OUTPUTS 1 o FOO 5", stray("FOO")),
        ("m11 INPUTS 1 a OUTPUTS 1 o TIMEOUT 5 FOO", stray("FOO")),
        ("m11 INPUTS 1 a OUTPUTS 1 o TIMEOUT 5 TIMEOUT 5", stray("TIMEOUT")),
        # input tensors
        ("m11 INPUTS 1 none OUTPUTS 1 o", NO_TENSOR),
        ("m11 INPUTS 1 s OUTPUTS 1 o", WRONGTYPE),
        ("m11 INPUTS 1 m11 OUTPUTS 1 o", WRONGTYPE),
        ("m22 INPUTS 2 a none OUTPUTS 2 o p", NO_TENSOR),
        ("m22 INPUTS 2 none s OUTPUTS 2 o p", NO_TENSOR),
        ("m22 INPUTS 2 s none OUTPUTS 2 o p", WRONGTYPE),
    ],
)
def test_error(raw, keys, arguments, error):
    assert raw.call("AI.MODELEXECUTE", *arguments.split()) == error
    assert raw.call("EXISTS", "o") == 0


# Every command holds all the errors of the lines below it as well.
CHECK_ORDER = [
    ("none FOO x OUTPUTS", wrong_arity("AI.MODELEXECUTE")),
    ("none FOO x gone OUTPUTS x o TIMEOUT", NO_MODEL),
    ("m11 FOO x gone OUTPUTS x o TIMEOUT", NO_INPUTS),
    ("m11 INPUTS x gone OUTPUTS x o TIMEOUT", INPUT_COUNT),
    ("m11 INPUTS 0 gone FOO x o TIMEOUT", INPUT_POSITIVE),
    ("m11 INPUTS 100 gone FOO x o TIMEOUT", INPUT_MISMATCH),
    ("m51 INPUTS 5 gone FOO x o", INPUTS_MISSING),
    ("m11 INPUTS 1 gone FOO x o TIMEOUT", NO_OUTPUTS),
    ("m11 INPUTS 1 gone OUTPUTS x o TIMEOUT", OUTPUT_COUNT),
    ("m11 INPUTS 1 gone OUTPUTS 0 o TIMEOUT", OUTPUT_POSITIVE),
    ("m11 INPUTS 1 gone OUTPUTS 100 o TIMEOUT", OUTPUT_MISMATCH),
    ("m22 INPUTS 2 gone s OUTPUTS 2 o", OUTPUTS_MISSING),
    ("m11 INPUTS 1 gone OUTPUTS 1 o TIMEOUT", TIMEOUT_VALUE),
    ("m11 INPUTS 1 gone OUTPUTS 1 o TIMEOUT x", TIMEOUT),
    ("m11 INPUTS 1 gone OUTPUTS 1 o TIMEOUT 5 FOO", stray("FOO")),
    ("m11 INPUTS 1 gone OUTPUTS 1 s", NO_TENSOR),  # outputs are only looked at when they are written
]


@pytest.mark.parametrize("arguments, error", CHECK_ORDER)
def test_check_order(raw, keys, arguments, error):
    assert raw.call("AI.MODELEXECUTE", *arguments.split()) == error


def test_a_word_with_a_line_break_is_reported_on_one_line(raw, keys):
    reply = raw.call(*words("AI.MODELEXECUTE m11 INPUTS 1 a OUTPUTS 1 o"), b"x\r\ny")
    assert reply == stray("x  y")


def test_errors_of_parsing_are_not_counted(raw, keys):
    for arguments in ("INPUTS 2 a a OUTPUTS 1 o", "INPUTS 1 none OUTPUTS 1 o", "INPUTS 1 a OUTPUTS 1 o TIMEOUT 0"):
        assert isinstance(raw.call("AI.MODELEXECUTE", "m11", *arguments.split()), Error)
    assert (stats(raw, "m11")["calls"], stats(raw, "m11")["errors"]) == (0, 0)
