"""Reference sections 3.14 and 9.2: AI.SCRIPTRUN, the deprecated form, and how it binds."""

import pytest

from support.commands import get_tensor, set_tensor
from support.resp import OK, TIMEDOUT
from support.scripts import GATE, entry_point, occupied_worker, store_entry_points

KEPT_KEYS = ("s",)
SOURCE = (
    GATE
    + "def add(a: Tensor, b: Tensor):\n    return a + b\n"
    + "def total(first: Tensor, rest: List[Tensor]):\n"
    + "    for tensor in rest:\n        first = first + tensor\n    return first\n"
    + "def nothing(a: Tensor):\n    pass\n"
    + "def constant():\n    return torch.tensor([42])\n"
    + entry_point("counts", "return torch.tensor([len(tensors), len(keys), len(args)])")
)


@pytest.fixture(autouse=True)
def script(raw):
    store_entry_points(raw, "s", SOURCE)
    for name, value in (("a", 1), ("b", 2), ("c", 4)):
        set_tensor(raw, name, [value])


@pytest.mark.parametrize(
    "command, result",
    [
        ("AI.SCRIPTRUN s add INPUTS a b OUTPUTS y", 3),
        ("ai.scriptrun s add inputs a b outputs y", 3),
        # `$` may stand once among the inputs, and means nothing
        ("AI.SCRIPTRUN s add INPUTS $ a b OUTPUTS y", 3),
        ("AI.SCRIPTRUN s add INPUTS a $ b OUTPUTS y", 3),
        ("AI.SCRIPTRUN s add INPUTS a b $ OUTPUTS y", 3),
        ("AI.SCRIPTRUN s total INPUTS a $ b c OUTPUTS y", 7),
        ("AI.SCRIPTRUN s total INPUTS a b c OUTPUTS y", 7),
        ("AI.SCRIPTRUN s total INPUTS a b $ c OUTPUTS y", 7),
        ("AI.SCRIPTRUN s total INPUTS a OUTPUTS y", 1),
        # more tensors than parameters
        ("AI.SCRIPTRUN s add INPUTS a b c OUTPUTS y", 3),
        # TIMEOUT anywhere
        ("AI.SCRIPTRUN s add TIMEOUT 60000 INPUTS a b OUTPUTS y", 3),
        ("AI.SCRIPTRUN s add INPUTS TIMEOUT 60000 a b OUTPUTS y", 3),
        ("AI.SCRIPTRUN s add INPUTS a timeout 60000 b OUTPUTS y", 3),
        ("AI.SCRIPTRUN s add INPUTS a b TIMEOUT 60000 OUTPUTS y", 3),
        ("AI.SCRIPTRUN s add INPUTS a b OUTPUTS TIMEOUT 60000 y", 3),
        ("AI.SCRIPTRUN s add INPUTS a b OUTPUTS y TIMEOUT 60000", 3),
        # both sections are optional
        ("AI.SCRIPTRUN s constant OUTPUTS y", 42),
        ("AI.SCRIPTRUN s constant INPUTS OUTPUTS y", 42),
        ("AI.SCRIPTRUN s constant INPUTS a OUTPUTS y", 42),
    ],
)
def test_grammar(raw, command, result):
    assert raw.call(*command.split()) == OK
    assert get_tensor(raw, "y").tolist() == [result]


@pytest.mark.parametrize(
    "command",
    ["s constant", "s constant TIMEOUT 60000", "s constant INPUTS", "s constant OUTPUTS", "s nothing INPUTS a"],
)
def test_without_outputs(raw, command):
    assert raw.call("AI.SCRIPTRUN", *command.split()) == OK
    assert sorted(raw.call("KEYS", "*")) == [b"a", b"b", b"c", b"s"]


def test_an_entry_point_gets_no_keys_and_arguments(raw):
    assert raw.call("AI.SCRIPTRUN", "s", "counts", "INPUTS", "a", "b", "OUTPUTS", "y") == OK
    assert get_tensor(raw, "y").tolist() == [2, 0, 0]


def test_timeout_in_the_queue(server, raw):
    with occupied_worker(server, "s"), server.raw() as waiting:
        waiting.send("AI.SCRIPTRUN", "s", "add", "TIMEOUT", 1, "INPUTS", "a", "b", "OUTPUTS", "y")
        assert waiting.read() == TIMEDOUT
    assert raw.call("EXISTS", "y") == 0
