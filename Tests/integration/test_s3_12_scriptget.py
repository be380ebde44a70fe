"""Reference section 3.12: AI.SCRIPTGET."""

import pytest

from support.commands import WRONGTYPE, set_tensor, words
from support.scripts import NO_SCRIPT, entry_point, store_script

SOURCE = entry_point("bar", "return tensors[0]") + entry_point("baz", "return tensors[0]")
META = [b"device", b"CPU", b"tag", b"v1", b"Entry Points", [b"baz", b"bar"]]
WHOLE = [*META, b"source", SOURCE.encode()]
KEPT_KEYS = ("s",)


@pytest.fixture(autouse=True)
def script(raw):
    if not raw.call("EXISTS", "s"):
        store_script(raw, "s", SOURCE, "baz", "bar", tag="v1")


@pytest.mark.parametrize(
    "arguments, reply",
    [
        ("", WHOLE),
        ("META", META),
        ("SOURCE", SOURCE.encode()),
        ("META SOURCE", WHOLE),
        ("SOURCE META", WHOLE),
        ("meta", META),
        ("Source", SOURCE.encode()),
        ("META META", META),
        # unknown words are ignored
        ("foo", WHOLE),
        ("foo bar", WHOLE),
        ("foo META", META),
        ("SOURCE foo", SOURCE.encode()),
    ],
)
def test_words(raw, arguments, reply):
    assert raw.call("AI.SCRIPTGET", "s", *arguments.split()) == reply


def test_no_entry_points(raw):
    store_script(raw, "plain", SOURCE)
    assert raw.call("AI.SCRIPTGET", "plain", "META") == [b"device", b"CPU", b"tag", b"", b"Entry Points", []]


def test_resp3_is_the_same(raw3):
    assert raw3.call("AI.SCRIPTGET", "s") == WHOLE


def test_missing_and_wrong_type(raw):
    raw.call("SET", "text", "x")
    set_tensor(raw, "t", [1])
    for command in ("AI.SCRIPTGET", "AI.SCRIPTDEL"):
        assert raw.call(command, "none") == NO_SCRIPT
        for key in ("text", "t"):
            assert raw.call(command, key) == WRONGTYPE


@pytest.mark.parametrize("command", ["AI.MODELGET s", "AI.MODELDEL s", "AI.TENSORGET s", "AI.TENSORSET s FLOAT 1"])
def test_a_script_is_no_model_and_no_tensor(raw, command):
    assert raw.call(*words(command)) == WRONGTYPE
