"""Model files that make the engine itself abort, allocate without end or calculate for hours while it builds them.

The server tries every model out in another process first, so each of these is an error reply, and nothing else.
"""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from support import onnx_models
from support.commands import execute, set_tensor, store_command, store_model
from support.resp import OK, Error
from support.wait import eventually

MODULE_ARGS = ("MODEL_LOAD_TIMEOUT", "2000")
DID_NOT_SURVIVE = Error("ERR the engine did not survive loading the model, or took longer than 2000 milliseconds")


def _int64(name: str, *values: int):
    return numpy_helper.from_array(np.array(values, dtype=np.int64), name)


def _model(nodes, inputs, outputs, initializers) -> bytes:
    graph = helper.make_graph(nodes, "g", inputs, outputs, initializers)
    return helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 18)]).SerializeToString()


def aborts() -> bytes:
    """Tile overflows a computed dimension, which an assertion in Slice's shape inference does not survive."""
    nodes = [
        helper.make_node("Reshape", ["x", "huge"], ["r"]),
        helper.make_node("Tile", ["r", "two"], ["t"]),
        helper.make_node("Slice", ["t", "zero", "five"], ["y"]),
    ]
    value = helper.make_tensor_value_info
    constants = [_int64("huge", 2**63 - 1), _int64("two", 2), _int64("zero", 0), _int64("five", 5)]
    return _model(
        nodes, [value("x", TensorProto.FLOAT, None)], [value("y", TensorProto.FLOAT, None)], constants
    )


def calculates_for_hours() -> bytes:
    """A product of two [16000, 16000] matrices of constants, which the engine computes while it builds the model."""
    nodes = [
        helper.make_node("ConstantOfShape", ["shape"], ["a"]),
        helper.make_node("MatMul", ["a", "a"], ["b"]),
        helper.make_node("ReduceSum", ["b"], ["c"], keepdims=0),
        helper.make_node("Add", ["x", "c"], ["y"]),
    ]
    value = helper.make_tensor_value_info
    return _model(
        nodes, [value("x", TensorProto.FLOAT, None)], [value("y", TensorProto.FLOAT, None)],
        [_int64("shape", 16_000, 16_000)],
    )


def allocates_without_end() -> bytes:
    """A Scan that says it has two thousand million inputs."""
    value = helper.make_tensor_value_info
    body = helper.make_graph(
        [helper.make_node("Identity", ["i"], ["o"])], "body",
        [value("i", TensorProto.FLOAT, None)], [value("o", TensorProto.FLOAT, None)],
    )
    scan = helper.make_node("Scan", ["x"], ["y"], body=body, num_scan_inputs=2**31)
    return _model([scan], [value("x", TensorProto.FLOAT, None)], [value("y", TensorProto.FLOAT, None)], [])


def _assert_alive(raw) -> None:
    store_model(raw, "good", onnx_models.mul_by_weights())
    set_tensor(raw, "x", [[1, 2], [3, 4], [5, 6]])
    assert execute(raw, "good", ["x"], ["y"]) == OK


@pytest.mark.parametrize("make", [aborts, calculates_for_hours])
def test_the_engine_does_not_survive(raw, make):
    assert raw.call(*store_command("m", make())) == DID_NOT_SURVIVE
    assert raw.call("EXISTS", "m") == 0
    _assert_alive(raw)


def test_memory_has_a_limit(server, raw):
    before = int(server.info("memory")["used_memory_rss"])
    reply = raw.call(*store_command("m", allocates_without_end()))
    assert isinstance(reply, Error), reply
    _assert_alive(raw)
    assert int(server.info("memory")["used_memory_rss"]) < before + 200_000_000


def test_inside_a_transaction_the_model_becomes_broken(raw):
    assert raw.call("MULTI") == OK
    raw.call(*store_command("m", aborts()))
    assert raw.call("EXEC") == [OK]
    set_tensor(raw, "x", [1.0])
    reply = execute(raw, "m", ["x"], ["y"])
    assert reply == Error(f"ERR model is broken: {DID_NOT_SURVIVE.text}")
    _assert_alive(raw)


def test_restoring_one_does_not_hurt(raw):
    raw.call("MULTI")
    raw.call(*store_command("m", aborts()))
    raw.call("EXEC")
    payload = raw.call("DUMP", "m")
    assert raw.call("RESTORE", "copy", 0, payload) == OK
    _assert_alive(raw)


def _children(server) -> list[str]:
    """Child processes of all threads: a thread's file lists only those that it started itself."""
    return [pid for file in Path(f"/proc/{server.pid}/task").glob("*/children") for pid in file.read_text().split()]


def test_no_process_is_left(server, raw):
    with server.raw() as waiting:
        waiting.send(*store_command("m", calculates_for_hours()))
        eventually(lambda: _children(server), "the model is being tried out")
        assert waiting.read() == DID_NOT_SURVIVE
    for _ in range(5):
        raw.call(*store_command("m", aborts()))
    eventually(lambda: not _children(server), "all processes have been collected")


def test_without_the_program_the_log_says_so(start_server, module_path, tmp_path):
    module = tmp_path / "redisai.so"
    shutil.copy(module_path, module)
    os.symlink(os.path.join(os.path.dirname(module_path), "backends"), tmp_path / "backends")
    server = start_server(module=str(module))
    assert "redisai-model-check is not there" in server.log_text()
    raw = server.raw()
    store_model(raw, "m", onnx_models.mul_by_weights())


def test_switched_off(start_server):
    server = start_server("MODEL_CHECK", "NO")
    assert "redisai-model-check" not in server.log_text()
    store_model(server.raw(), "m", onnx_models.mul_by_weights())
