"""Reference sections 4.2 and 4.7: errors found while AI.SCRIPTEXECUTE is parsed, in the order of the checks."""

import pytest

from support.commands import NO_TENSOR, WRONGTYPE, words
from support.resp import Error
from support.scripts import NO_SCRIPT, nothing_runs

FIRST = Error("ERR KEYS or INPUTS scope must be provided first for AI.SCRIPTEXECUTE command")
KEYS_MISSING = Error("ERR Missing arguments after KEYS keyword")
KEY_COUNT = Error("ERR Invalid or negative value found in number of KEYS")
FEW_KEYS = Error(
    "ERR Number of pre declared KEYS to be used in the command does not match the number of given arguments"
)
INVALID = Error("ERR Invalid arguments provided to AI.SCRIPTEXECUTE")
INPUT_COUNT = Error("ERR Invalid argument for inputs count in AI.SCRIPTEXECUTE")
OUTPUT_COUNT = Error("ERR Invalid argument for outputs count in AI.SCRIPTEXECUTE")
ARG_COUNT = Error("ERR Invalid argument for keys count in AI.SCRIPTEXECUTE")
FEW_INPUTS = Error("ERR number of inputs to AI.SCRIPTEXECUTE command does not match the number of given arguments")
FEW_OUTPUTS = Error("ERR number of outputs to AI.SCRIPTEXECUTE command does not match the number of given arguments")
FEW_ARGS = Error("ERR number of args to AI.SCRIPTEXECUTE command does not match the number of given arguments")
NO_TIMEOUT = Error("ERR No value provided for TIMEOUT in AI.SCRIPTEXECUTE")
TIMEOUT = Error("ERR Invalid value for TIMEOUT")
PROBLEM = Error("ERR Encountered problem parsing AI.SCRIPTEXECUTE")
KEPT_KEYS = ("s",)


def repeated(section: str) -> Error:
    return Error(f"ERR Already Encountered {section} scope in AI.SCRIPTEXECUTE command")


def stray(word: str) -> Error:
    return Error(f"ERR Invalid AI.SCRIPTEXECUTE command. Unexpected argument: {word}")


@pytest.fixture(autouse=True)
def ready(raw):
    with nothing_runs(raw):
        yield


@pytest.mark.parametrize(
    "arguments, error",
    [
        # the first section
        ("s f", FIRST),
        ("s f OUTPUTS 1 o", FIRST),
        ("s f ARGS 1 x", FIRST),
        ("s f TIMEOUT 5", FIRST),
        ("s f FOO", FIRST),
        ("s f a", FIRST),
        # KEYS
        ("s f KEYS", KEYS_MISSING),
        ("s f KEYS 1", KEYS_MISSING),
        ("s f INPUTS 0 KEYS 1", KEYS_MISSING),
        ("s f KEYS foo k", KEY_COUNT),
        ("s f KEYS 0 k", KEY_COUNT),
        ("s f KEYS -1 k", KEY_COUNT),
        ("s f KEYS 1.5 k", KEY_COUNT),
        ("s f KEYS 99999999999999999999 k", KEY_COUNT),
        ("s f KEYS 2 k", FEW_KEYS),
        ("s f KEYS 9223372036854775807 k", FEW_KEYS),
        # INPUTS
        ("s f INPUTS", INVALID),
        ("s f KEYS 1 k INPUTS", INVALID),
        ("s f INPUTS foo a", INPUT_COUNT),
        ("s f INPUTS 1.5 a", INPUT_COUNT),
        ("s f INPUTS 2 a", FEW_INPUTS),
        ("s f INPUTS 1", FEW_INPUTS),
        ("s f INPUTS 9223372036854775807 a", FEW_INPUTS),
        # ARGS
        ("s f INPUTS 0 ARGS", INVALID),
        ("s f INPUTS 0 ARGS foo x", ARG_COUNT),
        ("s f INPUTS 0 ARGS 2 x", FEW_ARGS),
        ("s f INPUTS 0 ARGS 9223372036854775807 x", FEW_ARGS),
        # OUTPUTS
        ("s f INPUTS 0 OUTPUTS", INVALID),
        ("s f INPUTS 0 OUTPUTS foo o", OUTPUT_COUNT),
        ("s f INPUTS 0 OUTPUTS 2 o", FEW_OUTPUTS),
        ("s f INPUTS 0 OUTPUTS 9223372036854775807 o", FEW_OUTPUTS),
        # each once
        ("s f KEYS 1 k KEYS 1 k", repeated("KEYS")),
        ("s f INPUTS 1 a INPUTS 1 a", repeated("INPUTS")),
        ("s f INPUTS 0 ARGS 1 x ARGS 1 x", repeated("ARGS")),
        ("s f INPUTS 0 OUTPUTS 1 o OUTPUTS 1 o", repeated("OUTPUTS")),
        ("s f INPUTS 0 inputs", repeated("INPUTS")),
        # TIMEOUT
        ("s f INPUTS 1 a OUTPUTS 1 o TIMEOUT", NO_TIMEOUT),
        ("s f INPUTS 1 a OUTPUTS 1 o TIMEOUT foo", TIMEOUT),
        ("s f INPUTS 1 a OUTPUTS 1 o timeout 0", TIMEOUT),
        ("s f INPUTS 1 a OUTPUTS 1 o TIMEOUT -1", TIMEOUT),
        ("s f INPUTS 1 a OUTPUTS 1 o TIMEOUT 1.5", TIMEOUT),
        ("s f INPUTS 1 a OUTPUTS 1 o TIMEOUT 5 TIMEOUT 5", PROBLEM),
        ("s f INPUTS 1 a TIMEOUT 5 OUTPUTS 1 o", PROBLEM),
        ("s f INPUTS 1 a OUTPUTS 1 o TIMEOUT 5 x", PROBLEM),
        # other words
        ("s f INPUTS 1 a b OUTPUTS 1 o", stray("b")),
        ("s f INPUTS 1 a OUTPUTS 1 o p", stray("p")),
        ("s f KEYS 1 k $ INPUTS 1 a", stray("$")),
        # keys, when everything has been read
        ("none f INPUTS 1 a OUTPUTS 1 o", NO_SCRIPT),
        ("t f INPUTS 1 a OUTPUTS 1 o", WRONGTYPE),
        ("a f INPUTS 1 a OUTPUTS 1 o", WRONGTYPE),
        ("s f INPUTS 1 none OUTPUTS 1 o", NO_TENSOR),
        ("s f INPUTS 2 a none OUTPUTS 1 o", NO_TENSOR),
        ("s f INPUTS 1 t OUTPUTS 1 o", WRONGTYPE),
        ("s f INPUTS 1 s OUTPUTS 1 o", WRONGTYPE),
        ("s f INPUTS 3 a t none OUTPUTS 1 o", WRONGTYPE),
        ("s f INPUTS 1 none OUTPUTS 1 o x", stray("x")),
    ],
)
def test_scriptexecute(raw, arguments, error):
    assert raw.call(*words(f"AI.SCRIPTEXECUTE {arguments}")) == error


@pytest.mark.parametrize("word", ["x" * 100_000, "line\r\nbreak"], ids=["long", "lines"])
def test_a_stray_word_of_any_kind(raw, word):
    reply = raw.call(*words("AI.SCRIPTEXECUTE s f INPUTS 1 a OUTPUTS 1 o", word))
    assert isinstance(reply, Error)
    assert reply.text.startswith("ERR Invalid AI.SCRIPTEXECUTE command. Unexpected argument: ")
    assert "\n" not in reply.text and len(reply.text) < 1000
