"""Reference section 3.9: AI._MODELSCAN."""

from support import onnx_models
from support.commands import set_tensor, store_model
from support.resp import OK

MODEL = onnx_models.mul()


def test_empty(raw):
    assert raw.call("AI._MODELSCAN") == []


def test_keys_and_tags_in_ascending_key_order(raw):
    store_model(raw, "m", MODEL)
    store_model(raw, "pt_model", MODEL, "TAG", "v1")
    store_model(raw, "a", MODEL, "TAG", "")
    store_model(raw, "Z", MODEL)
    set_tensor(raw, "t", [1])
    assert raw.call("ai._modelscan") == [[b"Z", b""], [b"a", b""], [b"m", b""], [b"pt_model", b"v1"]]


def test_order_is_by_bytes(raw):
    for key in (b"\xff", b"b\0", b"b", b"ab"):
        store_model(raw, key, MODEL)
    assert [key for key, _ in raw.call("AI._MODELSCAN")] == [b"ab", b"b", b"b\0", b"\xff"]


def test_all_databases_are_one_table(raw):
    store_model(raw, "m0", MODEL)
    raw.call("SELECT", 4)
    store_model(raw, "m4", MODEL)
    assert raw.call("AI._MODELSCAN") == [[b"m0", b""], [b"m4", b""]]
    raw.call("SELECT", 0)
    assert raw.call("AI._MODELSCAN") == [[b"m0", b""], [b"m4", b""]]


def test_replacing_shows_the_new_tag(raw):
    store_model(raw, "m", MODEL, "TAG", "old")
    store_model(raw, "m", MODEL, "TAG", "new")
    assert raw.call("AI._MODELSCAN") == [[b"m", b"new"]]


def test_rename_does_not_move_the_entry(raw):
    store_model(raw, "m", MODEL)
    assert raw.call("RENAME", "m", "n") == OK
    assert raw.call("AI._MODELSCAN") == [[b"m", b""]]
