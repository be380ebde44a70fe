"""Reference section 1: what the module and its data types are called, and what the server can do with them."""

import numpy as np
import pytest

from support import onnx_models
from support.commands import get_tensor, pairs, set_tensor, store_command, store_model, words
from support.resp import OK, Status
from support.wait import eventually


def test_module_list(raw):
    modules = {module["name"]: module for module in map(pairs, raw.call("MODULE", "LIST"))}
    assert modules[b"ai"]["ver"] == 20000


def test_type_names(raw):
    set_tensor(raw, "t", [1])
    store_model(raw, "m", onnx_models.mul())
    assert raw.call("TYPE", "t") == Status("AI_TENSOR")
    assert raw.call("TYPE", "m") == Status("AI__MODEL")


def test_scan_by_type(raw):
    set_tensor(raw, "t", [1])
    raw.call("SET", "s", "text")
    assert raw.call("SCAN", 0, "COUNT", 1000, "TYPE", "ai_tensor")[1] == [b"t"]


def test_rename_moves_a_tensor_and_a_model(raw):
    set_tensor(raw, "t", [1, 2])
    store_model(raw, "m", onnx_models.mul())
    assert raw.call("RENAME", "t", "u") == OK
    assert raw.call("RENAME", "m", "n") == OK
    assert get_tensor(raw, "u").tolist() == [1, 2]
    assert raw.call("AI.MODELGET", "n", "BLOB") == onnx_models.mul()


def test_dump_and_restore_of_a_tensor(raw):
    set_tensor(raw, "t", np.arange(6, dtype=np.int16).reshape(2, 3))
    payload = raw.call("DUMP", "t")
    assert raw.call("RESTORE", "u", 0, payload) == OK
    assert raw.call("AI.TENSORGET", "u") == raw.call("AI.TENSORGET", "t")


def test_dump_and_restore_of_a_model(raw):
    store_model(raw, "m", onnx_models.mul_by_weights(), "TAG", "v1", "BATCHSIZE", 3)
    payload = raw.call("DUMP", "m")
    assert raw.call("RESTORE", "n", 0, payload) == OK
    eventually(lambda: raw.call("AI.MODELGET", "n") == raw.call("AI.MODELGET", "m"), "the restored model is the same")


@pytest.mark.parametrize(
    "command",
    [words("AI.TENSORSET k FLOAT 1 VALUES 2"), store_command("k", onnx_models.mul())],
    ids=["tensor", "model"],
)
def test_storing_over_a_key_discards_its_ttl(raw, command):
    assert raw.call(*command) == OK
    assert raw.call("EXPIRE", "k", 1000) == 1
    assert raw.call(*command) == OK
    assert raw.call("TTL", "k") == -1


def test_expired_tensor_is_gone(raw):
    set_tensor(raw, "t", [1])
    assert raw.call("PEXPIRE", "t", 1) == 1
    eventually(lambda: raw.call("EXISTS", "t") == 0, "the tensor expires")
