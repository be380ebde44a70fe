"""Reference section 4.4, column MODELSET: what AI.MODELSET refuses, in the order of its checks."""

import pytest

from support import onnx_models, tf_models
from support.commands import WRONGTYPE, set_tensor, wrong_arity
from support.resp import Error

BACKEND = Error("ERR unsupported backend")
DEVICE = Error("ERR Invalid DEVICE")
# The engines' texts for a device that only they look at.
ENGINE_DEVICE = Error("ERR unsupported device")
TFLITE_DEVICE = Error("ERR Unsupported device")
BATCHSIZE = Error("ERR Invalid argument for BATCHSIZE")
TFLITE_BATCHSIZE = Error("ERR Auto-batching not supported by the TFLITE backend")
MINBATCHSIZE = Error("ERR Invalid argument for MINBATCHSIZE")
MINBATCHTIMEOUT = Error("ERR Invalid argument for MINBATCHTIMEOUT")
MIN_WITHOUT_BATCHSIZE = Error("ERR MINBATCHSIZE specified without BATCHSIZE")
TIMEOUT_WITHOUT_BATCHSIZE = Error("ERR MINBATCHTIMEOUT specified without BATCHSIZE")
TIMEOUT_WITHOUT_MINBATCHSIZE = Error("ERR MINBATCHTIMEOUT specified without MINBATCHSIZE")
NO_BLOB = Error("ERR Insufficient arguments, missing model BLOB")
NO_NAMES = Error("ERR Insufficient arguments, INPUTS and OUTPUTS not specified")
NO_INPUTS = Error("ERR INPUTS not specified")
NO_OUTPUTS = Error("ERR OUTPUTS not specified")
NO_GRAPH_DEF = Error("Invalid GraphDef")
NO_FLATBUFFER = Error("Failed to load model from buffer")
NO_PROTOBUF = Error("Failed to load model because protobuf parsing failed.")


@pytest.fixture(autouse=True)
def nothing_is_stored(raw):
    yield
    assert raw.call("EXISTS", "m") == 0
    assert raw.call("AI._MODELSCAN") == []


@pytest.mark.parametrize(
    "arguments, error",
    [
        ("FOO CPU BLOB x", BACKEND),
        ("TENSORFLOW CPU BLOB x", BACKEND),
        # a device that is too long or a keyword
        ("ONNX ABCDEFGHIJK BLOB x", DEVICE),
        ("ONNX CPU:1234567 BLOB x", DEVICE),
        ("ONNX INPUTS BLOB x", DEVICE),
        ("ONNX outputs BLOB x", DEVICE),
        ("ONNX TAG t BLOB x", DEVICE),
        ("ONNX BATCHSIZE 2 BLOB x", DEVICE),
        ("ONNX MINBATCHSIZE 2 BLOB x", DEVICE),
        ("ONNX BLOB x", DEVICE),
        # any other is left to the engine, and so refused after everything else
        ("ONNX TPU BLOB x", ENGINE_DEVICE),
        ("TF ABCDEFGHIJ INPUTS a OUTPUTS b BLOB x", ENGINE_DEVICE),
        ("TORCH GPU:x BLOB x", ENGINE_DEVICE),
        ("TFLITE TPU BLOB x", TFLITE_DEVICE),
        # BATCHSIZE
        ("ONNX CPU BATCHSIZE foo BLOB x", BATCHSIZE),
        ("ONNX CPU BATCHSIZE -1 BLOB x", BATCHSIZE),
        ("ONNX CPU BATCHSIZE 1.5 BLOB x", BATCHSIZE),
        ("ONNX CPU BATCHSIZE BLOB x", BATCHSIZE),
        ("TORCH CPU TAG t BATCHSIZE", BATCHSIZE),
        ("TFLITE CPU BATCHSIZE 2 BLOB x", TFLITE_BATCHSIZE),
        ("TFLITE CPU BATCHSIZE 0 BLOB x", TFLITE_BATCHSIZE),
        ("TFLITE CPU BATCHSIZE foo BLOB x", TFLITE_BATCHSIZE),
        ("TFLITE CPU TAG t BATCHSIZE", TFLITE_BATCHSIZE),
        # MINBATCHSIZE: that it makes sense comes before its number
        ("ONNX CPU MINBATCHSIZE 2 BLOB x", MIN_WITHOUT_BATCHSIZE),
        ("ONNX CPU MINBATCHSIZE 0 BLOB x", MIN_WITHOUT_BATCHSIZE),
        ("ONNX CPU MINBATCHSIZE foo BLOB x", MIN_WITHOUT_BATCHSIZE),
        ("ONNX CPU BATCHSIZE 0 MINBATCHSIZE 2 BLOB x", MIN_WITHOUT_BATCHSIZE),
        ("TFLITE CPU MINBATCHSIZE 2 BLOB x", MIN_WITHOUT_BATCHSIZE),
        ("ONNX CPU BATCHSIZE 2 MINBATCHSIZE foo BLOB x", MINBATCHSIZE),
        ("ONNX CPU BATCHSIZE 2 MINBATCHSIZE -1 BLOB x", MINBATCHSIZE),
        ("ONNX CPU BATCHSIZE 2 MINBATCHSIZE", MINBATCHSIZE),
        # MINBATCHTIMEOUT: the number comes last
        ("ONNX CPU MINBATCHTIMEOUT 5 BLOB x", TIMEOUT_WITHOUT_BATCHSIZE),
        ("ONNX CPU MINBATCHTIMEOUT 0 BLOB x", TIMEOUT_WITHOUT_BATCHSIZE),
        ("ONNX CPU MINBATCHTIMEOUT foo BLOB x", TIMEOUT_WITHOUT_BATCHSIZE),
        ("ONNX CPU BATCHSIZE 0 MINBATCHTIMEOUT 5 BLOB x", TIMEOUT_WITHOUT_BATCHSIZE),
        ("ONNX CPU BATCHSIZE 2 MINBATCHTIMEOUT 5 BLOB x", TIMEOUT_WITHOUT_MINBATCHSIZE),
        ("ONNX CPU BATCHSIZE 2 MINBATCHSIZE 0 MINBATCHTIMEOUT foo BLOB x", TIMEOUT_WITHOUT_MINBATCHSIZE),
        ("ONNX CPU BATCHSIZE 2 MINBATCHSIZE 2 MINBATCHTIMEOUT foo BLOB x", MINBATCHTIMEOUT),
        ("ONNX CPU BATCHSIZE 2 MINBATCHSIZE 2 MINBATCHTIMEOUT -1 BLOB x", MINBATCHTIMEOUT),
        ("ONNX CPU BATCHSIZE 2 MINBATCHSIZE 2 MINBATCHTIMEOUT", MINBATCHTIMEOUT),
        # the end of the command where the blob should be
        ("ONNX CPU", NO_BLOB),
        ("TF CPU", NO_BLOB),
        ("ONNX CPU TAG", NO_BLOB),
        ("ONNX CPU TAG t", NO_BLOB),
        ("TF CPU TAG t", NO_BLOB),
        ("ONNX CPU BATCHSIZE 2 MINBATCHSIZE 2 MINBATCHTIMEOUT 5", NO_BLOB),
        ("ONNX CPU BLOB", NO_BLOB),
        ("TFLITE CPU BLOB", NO_BLOB),
        ("TORCH CPU TAG t BLOB", NO_BLOB),
        ("TF CPU INPUTS a OUTPUTS b BLOB", NO_BLOB),
        # another word where the blob should be
        ("ONNX CPU FOO x", NO_BLOB),
        ("ONNX CPU INPUTS a OUTPUTS b", NO_BLOB),
        ("TF CPU INPUTS a OUTPUTS b", NO_BLOB),
        ("TF CPU INPUTS a OUTPUTS", NO_BLOB),
        # names, for TF
        ("TF CPU BLOB x", NO_NAMES),
        ("TF CPU TAG t BLOB", NO_NAMES),
        ("TF CPU FOO", NO_INPUTS),
        ("TF CPU FOO INPUTS a OUTPUTS b BLOB x", NO_INPUTS),
        ("TF CPU OUTPUTS b BLOB x", NO_INPUTS),
        ("TF CPU MINBATCHSIZED 2 INPUTS a OUTPUTS b BLOB x", NO_INPUTS),
        ("TF CPU INPUTS", NO_OUTPUTS),
        ("TF CPU INPUTS a b", NO_OUTPUTS),
        ("TF CPU INPUTS a BLOB x", NO_OUTPUTS),
        ("TF CPU INPUTS a BLOB OUTPUTS b", NO_OUTPUTS),
        # no models; what stands before BLOB is ignored where names are not wanted
        ("TF CPU INPUTS a OUTPUTS b BLOB x", NO_GRAPH_DEF),
        ("tf cpu inputs a b outputs c blob x", NO_GRAPH_DEF),
        ("TFLITE CPU BLOB x", NO_FLATBUFFER),
        ("TFLITE CPU FOO x BATCHSIZE 2 INPUTS 1 a BLOB x", NO_FLATBUFFER),
        ("ONNX CPU BATCHSIZE 2 TAG t BLOB x", NO_PROTOBUF),
    ],
)
def test_modelset(raw, arguments, error):
    assert raw.call("AI.MODELSET", "m", *arguments.split()) == error


@pytest.mark.parametrize("device", ["", " CPU", "CPU ", b"CPU\0", "CPU: 1"], ids=repr)
def test_devices_that_cannot_be_typed(raw, device):
    assert raw.call("AI.MODELSET", "m", "ONNX", device, "BLOB", onnx_models.mul()) == ENGINE_DEVICE


@pytest.mark.parametrize(
    "inputs, outputs, error",
    [
        (["none", "b"], ["mul"], 'ERR Input node named "none" not found in TF graph.'),
        (["a", "b"], ["none"], 'ERR Output node named "none" not found in TF graph'),
        (["1", "a"], ["1", "mul"], 'ERR Input node named "1" not found in TF graph.'),
    ],
    ids=str,
)
def test_names_are_the_engines_to_check(raw, inputs, outputs, error):
    """The counts of AI.MODELSTORE would be names here."""
    command = ["AI.MODELSET", "m", "TF", "CPU", "INPUTS", *inputs, "OUTPUTS", *outputs, "BLOB", tf_models.mul()]
    assert raw.call(*command) == Error(error)


CHECK_ORDER = [
    ("FOO", wrong_arity("AI.MODELSET")),
    ("FOO BLOB BATCHSIZE x MINBATCHSIZE x", BACKEND),
    ("ONNX BLOB BATCHSIZE x MINBATCHSIZE x", DEVICE),
    ("ONNX TPU BATCHSIZE x MINBATCHSIZE x MINBATCHTIMEOUT x", BATCHSIZE),
    ("TFLITE TPU BATCHSIZE x MINBATCHSIZE x MINBATCHTIMEOUT x", TFLITE_BATCHSIZE),
    ("ONNX TPU BATCHSIZE 2 MINBATCHSIZE x MINBATCHTIMEOUT x", MINBATCHSIZE),
    ("ONNX TPU MINBATCHSIZE x MINBATCHTIMEOUT x", MIN_WITHOUT_BATCHSIZE),
    ("ONNX TPU BATCHSIZE 2 MINBATCHSIZE 2 MINBATCHTIMEOUT x", MINBATCHTIMEOUT),
    ("ONNX TPU FOO", NO_BLOB),
    ("TF TPU INPUTS a", NO_OUTPUTS),
    ("ONNX TPU BLOB x", ENGINE_DEVICE),
    ("ONNX CPU BLOB x", NO_PROTOBUF),
]


@pytest.mark.parametrize("arguments, error", CHECK_ORDER)
def test_check_order(raw, arguments, error):
    """The key holds another type throughout: that is reported last of all."""
    set_tensor(raw, "t", [1])
    assert raw.call("AI.MODELSET", "t", *arguments.split()) == error


def test_another_type_comes_last(raw):
    raw.call("SET", "s", "text")
    assert raw.call("AI.MODELSET", "s", "ONNX", "CPU", "BLOB", onnx_models.mul()) == WRONGTYPE
    assert raw.call("GET", "s") == b"text"


@pytest.mark.parametrize("arguments", ["TF CPU INPUTS a OUTPUTS b", "TORCH CPU", "TFLITE CPU", "ONNX CPU"])
def test_engine_that_is_not_there(start_server, tmp_path, arguments):
    with start_server("BACKENDSPATH", str(tmp_path)).raw() as client:
        assert client.call("AI.MODELSET", "m", *arguments.split(), "BLOB", "x") == Error("ERR Could not load backend")
