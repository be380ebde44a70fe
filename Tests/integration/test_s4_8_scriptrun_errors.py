"""Reference sections 4.2 and 4.8: errors found while AI.SCRIPTRUN is parsed."""

import pytest

from support.commands import NO_TENSOR, WRONGTYPE, words
from support.resp import Error
from support.scripts import NO_SCRIPT, nothing_runs

TIMEOUT_TWICE = Error("ERR Already encountered an TIMEOUT section in SCRIPTRUN")
INPUTS_LATE = Error("ERR Already encountered an INPUTS section in SCRIPTRUN")
INPUTS_TWICE = Error("ERR Already encountered an INPUTS keyword in SCRIPTRUN")
OUTPUTS_TWICE = Error("ERR Already encountered an OUTPUTS keyword in SCRIPTRUN")
LIST_OUTSIDE = Error("ERR Encountered a variable size list of tensors outside of input section")
LIST_TWICE = Error("ERR Already encountered a variable size list of tensors")
STRAY = Error("ERR Unrecongnized parameter to SCRIPTRUN")
TIMEOUT = Error("ERR Invalid value for TIMEOUT")
KEPT_KEYS = ("s",)


@pytest.fixture(autouse=True)
def ready(raw):
    with nothing_runs(raw):
        yield


@pytest.mark.parametrize(
    "arguments, error",
    [
        ("s f INPUTS a TIMEOUT 5 OUTPUTS o TIMEOUT 5", TIMEOUT_TWICE),
        ("s f TIMEOUT 5 TIMEOUT", TIMEOUT_TWICE),
        ("s f INPUTS a OUTPUTS o INPUTS a", INPUTS_LATE),
        ("s f OUTPUTS o INPUTS a", INPUTS_LATE),
        ("s f INPUTS a INPUTS a OUTPUTS o", INPUTS_TWICE),
        ("s f INPUTS inputs", INPUTS_TWICE),
        ("s f INPUTS a OUTPUTS o OUTPUTS o", OUTPUTS_TWICE),
        ("s f OUTPUTS outputs", OUTPUTS_TWICE),
        ("s f $ INPUTS a OUTPUTS o", LIST_OUTSIDE),
        ("s f INPUTS a OUTPUTS $ o", LIST_OUTSIDE),
        ("s f INPUTS $ a $ a OUTPUTS o", LIST_TWICE),
        ("s f INPUTS a $ $ OUTPUTS o", LIST_TWICE),
        ("s f a INPUTS a OUTPUTS o", STRAY),
        ("s f 1", STRAY),
        ("s f TIMEOUT 5 a", STRAY),
        ("s f TIMEOUT foo INPUTS a OUTPUTS o", TIMEOUT),
        ("s f TIMEOUT 0 INPUTS a OUTPUTS o", TIMEOUT),
        ("s f INPUTS a OUTPUTS o TIMEOUT -1", TIMEOUT),
        ("s f INPUTS a OUTPUTS o TIMEOUT", TIMEOUT),
        ("none f INPUTS a OUTPUTS o", NO_SCRIPT),
        ("t f INPUTS a OUTPUTS o", WRONGTYPE),
        ("a f", WRONGTYPE),
        ("s f INPUTS none OUTPUTS o", NO_TENSOR),
        ("s f INPUTS a none", NO_TENSOR),
        ("s f INPUTS t OUTPUTS o", WRONGTYPE),
        ("s f INPUTS t none OUTPUTS o", WRONGTYPE),
    ],
)
def test_scriptrun(raw, arguments, error):
    assert raw.call(*words(f"AI.SCRIPTRUN {arguments}")) == error
