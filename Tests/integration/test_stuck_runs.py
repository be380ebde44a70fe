"""An operator that does not end: the engine looks at interrupts between operators only, so nothing stops it.

The client is answered, the model is not run again, and the device's queue goes on with another thread.
"""

import numpy as np
import pytest
from onnx import TensorProto, helper

from support import onnx_models
from support.commands import execute, set_tensor, store_model
from support.resp import OK, Error
from support.wait import eventually

MODULE_ARGS = ("MODEL_EXECUTION_TIMEOUT", "1000")
ABANDONED = Error("ERR the run did not end when it was interrupted, and was abandoned")


def endless_kernel() -> bytes:
    """Endless for inputs with a positive sum: a TfIdfVectorizer with 2^62 skips. It is tried out with zeros, and passes."""
    value = helper.make_tensor_value_info
    output = [value("o", TensorProto.FLOAT, None)]
    endless = helper.make_node(
        "TfIdfVectorizer", ["x"], ["o"], mode="TF", min_gram_length=2, max_gram_length=2, max_skip_count=2**62,
        ngram_counts=[0, 0], ngram_indexes=[0], pool_int64s=[1, 2],
    )
    short = helper.make_node("Cast", ["x"], ["o"], to=TensorProto.FLOAT)
    nodes = [
        helper.make_node("ReduceMax", ["x"], ["max"], keepdims=0),
        helper.make_node("Cast", ["max"], ["positive"], to=TensorProto.BOOL),
        helper.make_node(
            "If", ["positive"], ["y"], then_branch=helper.make_graph([endless], "endless", [], output),
            else_branch=helper.make_graph([short], "short", [], output),
        ),
    ]
    graph = helper.make_graph(
        nodes, "g", [value("x", TensorProto.INT64, ["n"])], [value("y", TensorProto.FLOAT, None)]
    )
    return helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 18)]).SerializeToString()


def test_the_queue_survives_a_run_that_does_not_end(server, raw):
    store_model(raw, "endless", endless_kernel())
    store_model(raw, "good", onnx_models.mul_by_weights())
    set_tensor(raw, "x", np.arange(64, dtype=np.int64))
    set_tensor(raw, "z", [[1, 2], [3, 4], [5, 6]])
    assert execute(raw, "endless", ["x"], ["y"]) == ABANDONED
    assert execute(raw, "good", ["z"], ["y"]) == OK
    assert execute(raw, "endless", ["x"], ["y"]) == Error("ERR model is broken: a run of it did not end")
    assert raw.call("AI.MODELGET", "endless", "BLOB") == endless_kernel()


@pytest.mark.one_server
def test_storing_the_model_again_repairs_it(server, raw):
    store_model(raw, "m", endless_kernel())
    set_tensor(raw, "x", np.arange(64, dtype=np.int64))
    set_tensor(raw, "zero", np.array([0], dtype=np.int64))
    assert execute(raw, "m", ["x"], ["y"]) == ABANDONED
    store_model(raw, "m", endless_kernel())
    assert execute(raw, "m", ["zero"], ["y"]) == OK


@pytest.mark.one_server
def test_requests_behind_it_are_answered(server, raw):
    store_model(raw, "endless", endless_kernel())
    store_model(raw, "good", onnx_models.mul_by_weights())
    set_tensor(raw, "x", np.arange(64, dtype=np.int64))
    set_tensor(raw, "z", [[1, 2], [3, 4], [5, 6]])
    other = server.raw()
    other.send("AI.MODELEXECUTE", "endless", "INPUTS", 1, "x", "OUTPUTS", 1, "y")
    eventually(lambda: int(server.info("modules")["ai_queue_CPU_waiting_requests"]) == 0, "the run has started")
    assert execute(raw, "good", ["z"], ["y"]) == OK
    assert other.read() == ABANDONED
