"""Reference section 3.9: AI._SCRIPTSCAN."""

from support import onnx_models
from support.commands import store_model
from support.resp import OK
from support.scripts import entry_point, store_script

SOURCE = entry_point("f", "return tensors[0]")


def test_empty(raw):
    assert raw.call("AI._SCRIPTSCAN") == []


def test_keys_and_tags_in_ascending_key_order(raw):
    """Models are not among them, nor are scripts among the models."""
    store_model(raw, "m", onnx_models.mul(), "TAG", "model")
    store_script(raw, "ket2", SOURCE, tag="v2")
    store_script(raw, "ket1", SOURCE, "f")
    store_script(raw, "Z", SOURCE, tag="")
    assert raw.call("ai._scriptscan") == [[b"Z", b""], [b"ket1", b""], [b"ket2", b"v2"]]
    assert raw.call("AI._MODELSCAN") == [[b"m", b"model"]]


def test_all_databases_are_one_table(raw):
    store_script(raw, "s0", SOURCE)
    raw.call("SELECT", 4)
    store_script(raw, "s4", SOURCE)
    assert raw.call("AI._SCRIPTSCAN") == [[b"s0", b""], [b"s4", b""]]


def test_replacing_shows_the_new_tag(raw):
    store_script(raw, "s", SOURCE, tag="old")
    store_script(raw, "s", SOURCE, tag="new")
    assert raw.call("AI._SCRIPTSCAN") == [[b"s", b"new"]]


def test_rename_does_not_move_the_entry(raw):
    store_script(raw, "s", SOURCE)
    assert raw.call("RENAME", "s", "t") == OK
    assert raw.call("AI._SCRIPTSCAN") == [[b"s", b""]]
    assert raw.call("AI.SCRIPTGET", "t", "SOURCE") == SOURCE.encode()
