"""Reference section 8, ONNX row: what goes through the engine and what comes back, run-time errors included."""

import numpy as np
import pytest

from support import onnx_models
from support.commands import NUMPY_TYPES, execute, get_tensor, set_tensor, store_model, words
from support.resp import OK, Error

SHAPES = [(), (1,), (3,), (2, 3), (2, 1, 3, 2)]


@pytest.mark.parametrize("dtype", NUMPY_TYPES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_every_dtype_and_shape_passes_unchanged(raw, dtype, shape):
    values = (
        np.arange(int(np.prod(shape))).reshape(shape) % 2
        if dtype == "BOOL"
        else np.arange(np.prod(shape)).reshape(shape) - 1
    )
    array = np.asarray(values).astype(NUMPY_TYPES[dtype])
    store_model(raw, "m", onnx_models.identity(dtype))
    set_tensor(raw, "x", array)
    assert execute(raw, "m", ["x"], ["y"]) == OK
    assert raw.call("AI.TENSORGET", "y") == raw.call("AI.TENSORGET", "x")


@pytest.mark.parametrize(
    "values", [[b"a", b"bc", b""], ["é".encode(), b"\xff\xfe", b"x" * 10_000]], ids=["plain", "any-bytes"]
)
def test_strings_pass_unchanged(raw, values):
    store_model(raw, "m", onnx_models.identity("STRING"))
    assert raw.call("AI.TENSORSET", "x", "STRING", 3, 1, "VALUES", *values) == OK
    assert execute(raw, "m", ["x"], ["y"]) == OK
    assert raw.call("AI.TENSORGET", "y", "META", "VALUES") == [b"dtype", b"STRING", b"shape", [3, 1], b"values", values]
    assert raw.call("AI.TENSORGET", "y", "BLOB") == b"".join(value + b"\0" for value in values)


def test_scalar_output(raw):
    """The original died here."""
    store_model(raw, "m", onnx_models.total())
    set_tensor(raw, "x", [[1, 2], [3, 4]])
    assert execute(raw, "m", ["x"], ["y"]) == OK
    assert raw.call(*words("AI.TENSORGET y META VALUES")) == [b"dtype", b"FLOAT", b"shape", [], b"values", [b"10"]]


def test_output_with_a_zero_dim(raw):
    store_model(raw, "m", onnx_models.non_zero())
    set_tensor(raw, "x", np.zeros((2, 3), dtype=np.float32))
    assert execute(raw, "m", ["x"], ["y"]) == OK
    assert raw.call("AI.TENSORGET", "y") == [b"dtype", b"INT64", b"shape", [2, 0], b"blob", b""]
    assert raw.call("AI.TENSORGET", "y", "VALUES") == []


def test_a_tensor_with_a_zero_dim_as_input(raw):
    store_model(raw, "nz", onnx_models.non_zero())
    store_model(raw, "id", onnx_models.identity("INT64"))
    set_tensor(raw, "x", np.zeros((2, 3), dtype=np.float32))
    assert execute(raw, "nz", ["x"], ["y"]) == OK
    assert execute(raw, "id", ["y"], ["z"]) == OK
    assert raw.call("AI.TENSORGET", "z", "META") == [b"dtype", b"INT64", b"shape", [2, 0]]


def test_large_tensors(raw):
    store_model(raw, "m", onnx_models.add_constant(1))
    set_tensor(raw, "x", np.arange(1_000_000, dtype=np.float32))
    assert execute(raw, "m", ["x"], ["y"]) == OK
    assert np.array_equal(get_tensor(raw, "y"), np.arange(1, 1_000_001, dtype=np.float32))


def test_many_strings(raw):
    values = [f"string number {i}".encode() for i in range(1000)]
    store_model(raw, "m", onnx_models.identity("STRING"))
    assert raw.call("AI.TENSORSET", "x", "STRING", 1000, "VALUES", *values) == OK
    assert execute(raw, "m", ["x"], ["y"]) == OK
    assert raw.call("AI.TENSORGET", "y", "VALUES") == values


def test_output_of_a_type_without_a_name_is_answered(server, raw):
    """FLOAT16 has no name among the module's types: any orderly answer will do."""
    store_model(raw, "m", onnx_models.to_float16())
    set_tensor(raw, "x", [1, 2])
    reply = execute(raw, "m", ["x"], ["y"])
    assert reply == OK or isinstance(reply, Error)
    if raw.call("EXISTS", "y"):
        assert raw.call("AI.TENSORGET", "y") == Error("ERR unsupported dtype")


@pytest.mark.parametrize(
    "tensor, error",
    [
        (
            "FLOAT 2 3",
            "Got invalid dimensions for input: x for the following indices  index: 0 Got: 2 Expected: 3"
            "  index: 1 Got: 3 Expected: 2  Please fix either the inputs/outputs or the model.",
        ),
        ("FLOAT 6", "Invalid rank for input: x Got: 1 Expected: 2 Please fix either the inputs/outputs or the model."),
        ("INT32 3 2", "Unexpected input data type. Actual: (tensor(int32)) , expected: (tensor(float))"),
        ("STRING 3 2", "Unexpected input data type. Actual: (tensor(string)) , expected: (tensor(float))"),
    ],
)
def test_inputs_that_do_not_fit(raw, tensor, error):
    """The engine's text without its prefix, line breaks as spaces."""
    store_model(raw, "m", onnx_models.mul_by_weights())
    assert raw.call(*words(f"AI.TENSORSET x {tensor}")) == OK
    assert execute(raw, "m", ["x"], ["y"]) == Error(error)
    assert raw.call("EXISTS", "y") == 0


def test_error_inside_the_graph(raw):
    store_model(raw, "m", onnx_models.mul(dims=None))
    set_tensor(raw, "a", [[1, 2, 3]])
    set_tensor(raw, "b", [[1, 2]])
    reply = execute(raw, "m", ["a", "b"], ["y"])
    assert isinstance(reply, Error)
    assert reply.text.startswith("Non-zero status code returned while running Mul node.")
    assert "Attempting to broadcast an axis by a dimension other than 1. 2 by 3" in reply.text
    assert "[ONNXRuntimeError]" not in reply.text
