"""Reference sections 3.8, 4.2 and 4.5: AI.MODELRUN, the deprecated form, and its errors in the order of the checks."""

import pytest

from support import onnx_models
from support.commands import (
    IN_TRANSACTION,
    NO_MODEL,
    NO_TENSOR,
    WRONGTYPE,
    get_tensor,
    set_tensor,
    stats,
    store_model,
    words,
    wrong_arity,
)
from support.gates import held, hold_key, queue
from support.resp import OK, QUEUED, TIMEDOUT, Error, Status

MODELS = {
    "m11": onnx_models.add_constant(1),
    "m22": onnx_models.sum_and_difference(),
    "m31": onnx_models.sum_of(3),
}
# No run is short enough for the main thread: some have to wait in the queue.
MODULE_ARGS = ("INLINE_EXECUTION_BUDGET", "0")
KEPT_KEYS = (*MODELS, hold_key())
NO_INPUTS = Error("ERR INPUTS not specified")
INPUT_MISMATCH = Error("Number of keys given as INPUTS here does not match model definition")
OUTPUT_MISMATCH = Error("Number of keys given as OUTPUTS here does not match model definition")
TIMEOUT = Error("ERR Invalid value for TIMEOUT")


@pytest.fixture(autouse=True)
def ready(raw):
    """Models by number of inputs and outputs, tensors ``a`` and ``b``, string ``s``."""
    for key, blob in MODELS.items():
        if not raw.call("EXISTS", key):
            store_model(raw, key, blob)
        assert raw.call("AI.INFO", key, "RESETSTAT") == OK
    set_tensor(raw, "a", [5])
    set_tensor(raw, "b", [3])
    raw.call("SET", "s", "text")


@pytest.mark.parametrize(
    "arguments, results",
    [
        ("AI.MODELRUN m11 INPUTS a OUTPUTS o", {"o": 6}),
        ("ai.modelrun m11 inputs a outputs o", {"o": 6}),
        ("AI.MODELRUN m11 TIMEOUT 60000 INPUTS a OUTPUTS o", {"o": 6}),
        ("Ai.ModelRun m11 Timeout 9223372036854775807 Inputs a Outputs o", {"o": 6}),
        ("AI.MODELRUN m22 INPUTS a b OUTPUTS o p", {"o": 8, "p": 2}),
        ("AI.MODELRUN m22 INPUTS b a OUTPUTS o p", {"o": 8, "p": -2}),
        ("AI.MODELRUN m31 INPUTS a b a OUTPUTS o", {"o": 13}),
        ("AI.MODELRUN m11 INPUTS a OUTPUTS a", {"a": 6}),
        ("AI.MODELRUN m22 INPUTS a a OUTPUTS o o", {"o": 0}),
        # from the first OUTPUTS on they are names
        ("AI.MODELRUN m11 INPUTS a OUTPUTS OUTPUTS", {"OUTPUTS": 6}),
        ("AI.MODELRUN m11 INPUTS a OUTPUTS TIMEOUT", {"TIMEOUT": 6}),
        ("AI.MODELRUN m22 INPUTS a b OUTPUTS TIMEOUT 5", {"TIMEOUT": 8, "5": 2}),
    ],
)
def test_runs(raw, arguments, results):
    assert raw.call(*words(arguments)) == OK
    assert {key: get_tensor(raw, key).tolist() for key in results} == {key: [value] for key, value in results.items()}


@pytest.mark.parametrize(
    "arguments, error",
    [
        ("none INPUTS a OUTPUTS o", NO_MODEL),
        ("s INPUTS a OUTPUTS o", WRONGTYPE),
        ("a INPUTS a OUTPUTS o", WRONGTYPE),
        # TIMEOUT, only directly after the key
        ("m11 TIMEOUT foo INPUTS a OUTPUTS o", TIMEOUT),
        ("m11 timeout 0 INPUTS a OUTPUTS o", TIMEOUT),
        ("m11 TIMEOUT -1 INPUTS a OUTPUTS o", TIMEOUT),
        ("m11 TIMEOUT 1.5 INPUTS a OUTPUTS o", TIMEOUT),
        ("m11 TIMEOUT INPUTS a OUTPUTS o", TIMEOUT),
        ("m11 INPUTS a OUTPUTS o TIMEOUT 5", OUTPUT_MISMATCH),
        ("m11 INPUTS TIMEOUT 5 a OUTPUTS o", INPUT_MISMATCH),
        # INPUTS
        ("m11 FOO a OUTPUTS o", NO_INPUTS),
        ("m11 OUTPUTS o INPUTS a", NO_INPUTS),
        ("m11 TIMEOUT 5 OUTPUTS o INPUTS a", NO_INPUTS),
        ("m11 TIMEOUT 5 TIMEOUT 5 INPUTS a OUTPUTS o", NO_INPUTS),
        # numbers of names
        ("m11 INPUTS a b OUTPUTS o", INPUT_MISMATCH),
        ("m11 INPUTS INPUTS a OUTPUTS o", INPUT_MISMATCH),
        ("m22 INPUTS a OUTPUTS o p", INPUT_MISMATCH),
        ("m11 INPUTS OUTPUTS o p", INPUT_MISMATCH),
        ("m11 INPUTS a o p", INPUT_MISMATCH),
        ("m11 INPUTS a OUTPUTS o p", OUTPUT_MISMATCH),
        ("m22 INPUTS a b OUTPUTS o", OUTPUT_MISMATCH),
        ("m22 INPUTS a b OUTPUTS", OUTPUT_MISMATCH),
        ("m31 INPUTS a b a", OUTPUT_MISMATCH),
        # tensors
        ("m11 INPUTS none OUTPUTS o", NO_TENSOR),
        ("m11 INPUTS s OUTPUTS o", WRONGTYPE),
        ("m11 INPUTS m11 OUTPUTS o", WRONGTYPE),
        ("m22 INPUTS a none OUTPUTS o p", NO_TENSOR),
        ("m22 INPUTS s none OUTPUTS o p", WRONGTYPE),
    ],
)
def test_error(raw, arguments, error):
    assert raw.call("AI.MODELRUN", *arguments.split()) == error
    assert raw.call("EXISTS", "o") == 0
    assert [stats(raw, key)["calls"] for key in MODELS] == [0, 0, 0]


@pytest.mark.parametrize("command", ["AI.MODELRUN", "ai.modelrun m11 INPUTS", "Ai.ModelRun m11 INPUTS a OUTPUTS"])
def test_arity(raw, command):
    assert raw.call(*words(command)) == wrong_arity("AI.MODELRUN")


# Every command holds all the errors of the lines below it as well.
CHECK_ORDER = [
    ("none TIMEOUT x", wrong_arity("AI.MODELRUN")),
    ("none TIMEOUT x FOO gone gone OUTPUTS o p", NO_MODEL),
    ("m11 TIMEOUT x FOO gone gone OUTPUTS o p", TIMEOUT),
    ("m11 TIMEOUT 5 FOO gone gone OUTPUTS o p", NO_INPUTS),
    ("m11 TIMEOUT 5 INPUTS gone gone OUTPUTS o p", INPUT_MISMATCH),
    ("m11 TIMEOUT 5 INPUTS gone OUTPUTS o p", OUTPUT_MISMATCH),
    ("m11 TIMEOUT 5 INPUTS gone OUTPUTS s", NO_TENSOR),
]


@pytest.mark.parametrize("arguments, error", CHECK_ORDER)
def test_check_order(raw, arguments, error):
    assert raw.call("AI.MODELRUN", *arguments.split()) == error


@pytest.mark.parametrize("command", ["AI.MODELRUN m11 INPUTS a OUTPUTS o", "AI.MODELRUN none FOO", "ai.modelrun"])
def test_in_transactions_and_lua(raw, command):
    assert raw.pipeline([["MULTI"], words(command), ["EXEC"]]) == [OK, QUEUED, [IN_TRANSACTION]]
    assert raw.call("EVAL", "return redis.pcall(unpack(ARGV))", 0, *words(command)) == IN_TRANSACTION
    assert raw.call("EXISTS", "o") == 0


def test_statistics(raw):
    for _ in range(3):
        assert raw.call(*words("AI.MODELRUN m11 INPUTS a OUTPUTS o")) == OK
    now = stats(raw, "m11")
    assert (now["calls"], now["samples"], now["errors"]) == (3, 3, 0)


def test_output_key_of_another_type_gives_one_error(raw):
    assert raw.pipeline([words("AI.MODELRUN m11 INPUTS a OUTPUTS s"), ["PING"]]) == [WRONGTYPE, Status("PONG")]
    assert raw.call("GET", "s") == b"text"


def test_timeout_in_the_queue(server, raw):
    with held(server):
        assert raw.call(*words("AI.MODELRUN m11 TIMEOUT 1 INPUTS a OUTPUTS o")) == TIMEDOUT
    assert raw.call("EXISTS", "o") == 0
    assert stats(raw, "m11")["calls"] == 0


def test_inputs_and_model_are_those_of_the_time_of_the_command(server, raw):
    with held(server) as release:
        [waiting] = queue(server, words("AI.MODELRUN m11 INPUTS a OUTPUTS o"))
        set_tensor(raw, "a", [100])
        assert raw.call("DEL", "m11") == 1
        release()
        assert waiting.read() == OK
    assert get_tensor(raw, "o").tolist() == [6]
