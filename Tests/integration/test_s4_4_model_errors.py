"""Reference section 4.4: errors of AI.MODELSTORE, AI.MODELGET and AI.MODELDEL, and which of two is reported."""

import pytest

from support import onnx_models
from support.commands import NO_MODEL, WRONGTYPE, set_tensor, words, wrong_arity
from support.resp import Error

BACKEND = Error("ERR unsupported backend")
DEVICE = Error("ERR Invalid DEVICE")
BATCHSIZE = Error("ERR Invalid argument for BATCHSIZE")
MINBATCHSIZE = Error("ERR Invalid argument for MINBATCHSIZE")
MINBATCHTIMEOUT = Error("ERR Invalid argument for MINBATCHTIMEOUT")
NO_BATCHSIZE = Error("ERR MINBATCHSIZE specified without BATCHSIZE")
NO_MINBATCHSIZE = Error("ERR MINBATCHTIMEOUT specified without MINBATCHSIZE")
NO_BLOB = Error("ERR Insufficient arguments, missing model BLOB")
EXPECTED_BLOB = Error("ERR Invalid argument, expected BLOB")
NOT_FOR_BACKEND = Error("ERR INPUTS argument should not be specified for this backend")
NO_BACKEND = Error("ERR Could not load backend")
# The texts of today's engines.
NO_GRAPH_DEF = Error("Invalid GraphDef")
NO_FLATBUFFER = Error("Failed to load model from buffer")
NO_ARCHIVE = Error(
    "PytorchStreamReader failed reading zip archive: not a ZIP archive. This is an internal miniz error. If you are "
    "seeing this error, there is a high likelihood that your checkpoint file is corrupted. This can happen if the "
    "checkpoint was not saved properly, was transferred incorrectly, or the file was modified after saving."
)
TF_NO_INPUTS = Error("ERR INPUTS not specified for TF")
TF_NO_OUTPUTS = Error("ERR OUTPUTS not specified for TF")
INPUT_COUNT = Error("ERR Invalid argument for input_count")
OUTPUT_COUNT = Error("ERR Invalid argument for output_count")
INPUTS_MISSING = Error("ERR number of model inputs does not match the number of given arguments")
OUTPUTS_MISSING = Error("ERR number of model outputs does not match the number of given arguments")


@pytest.mark.parametrize(
    "arguments, error",
    [
        ("FOO CPU BLOB x", BACKEND),
        ("TENSORFLOW CPU BLOB x", BACKEND),
        ("ONNXX CPU BLOB x", BACKEND),
        # device
        ("ONNX TPU BLOB x", DEVICE),
        ("ONNX CPU0 BLOB x", DEVICE),
        ("ONNX CPUS BLOB x", DEVICE),
        ("ONNX CPU:x BLOB x", DEVICE),
        ("ONNX CPU:1x BLOB x", DEVICE),
        ("ONNX CPU:-1 BLOB x", DEVICE),
        ("ONNX CPU:+1 BLOB x", DEVICE),
        ("ONNX CPU:123456 BLOB x", DEVICE),
        ("ONNX GPU:123456 BLOB x", DEVICE),
        ("ONNX CPU::1 BLOB x", DEVICE),
        ("ONNX BLOB BLOB x", DEVICE),
        # BATCHSIZE
        ("ONNX CPU BATCHSIZE foo BLOB x", BATCHSIZE),
        ("ONNX CPU BATCHSIZE -1 BLOB x", BATCHSIZE),
        ("ONNX CPU BATCHSIZE 1.5 BLOB x", BATCHSIZE),
        ("ONNX CPU BATCHSIZE BLOB x", BATCHSIZE),
        ("ONNX CPU TAG t BATCHSIZE", BATCHSIZE),
        ("ONNX CPU BATCHSIZE 99999999999999999999999 BLOB x", BATCHSIZE),
        ("ONNX CPU BATCHSIZE nan BLOB x", BATCHSIZE),
        ("ONNX CPU BATCHSIZE inf BLOB x", BATCHSIZE),
        # MINBATCHSIZE
        ("ONNX CPU BATCHSIZE 2 MINBATCHSIZE foo BLOB x", MINBATCHSIZE),
        ("ONNX CPU BATCHSIZE 2 MINBATCHSIZE -1 BLOB x", MINBATCHSIZE),
        ("ONNX CPU BATCHSIZE 2 MINBATCHSIZE", MINBATCHSIZE),
        ("ONNX CPU MINBATCHSIZE foo BLOB x", MINBATCHSIZE),
        ("ONNX CPU MINBATCHSIZE 2 BLOB x", NO_BATCHSIZE),
        ("ONNX CPU BATCHSIZE 0 MINBATCHSIZE 2 BLOB x", NO_BATCHSIZE),
        # MINBATCHTIMEOUT
        ("ONNX CPU BATCHSIZE 2 MINBATCHSIZE 2 MINBATCHTIMEOUT foo BLOB x", MINBATCHTIMEOUT),
        ("ONNX CPU BATCHSIZE 2 MINBATCHSIZE 2 MINBATCHTIMEOUT -1 BLOB x", MINBATCHTIMEOUT),
        ("ONNX CPU BATCHSIZE 2 MINBATCHSIZE 2 MINBATCHTIMEOUT", MINBATCHTIMEOUT),
        ("ONNX CPU MINBATCHTIMEOUT foo BLOB x", MINBATCHTIMEOUT),
        ("ONNX CPU MINBATCHTIMEOUT 5 BLOB x", NO_MINBATCHSIZE),
        ("ONNX CPU BATCHSIZE 2 MINBATCHTIMEOUT 5 BLOB x", NO_MINBATCHSIZE),
        ("ONNX CPU BATCHSIZE 2 MINBATCHSIZE 0 MINBATCHTIMEOUT 5 BLOB x", NO_MINBATCHSIZE),
        # the end of the command where the blob should be
        ("ONNX CPU TAG t", NO_BLOB),
        ("ONNX CPU BATCHSIZE 2", NO_BLOB),
        ("ONNX CPU BATCHSIZE 2 MINBATCHSIZE 2", NO_BLOB),
        ("ONNX CPU BATCHSIZE 2 MINBATCHSIZE 2 MINBATCHTIMEOUT 5", NO_BLOB),
        ("TF CPU TAG t", NO_BLOB),
        ("ONNX CPU TAG t BLOB", NO_BLOB),
        ("TORCH CPU TAG t BLOB", NO_BLOB),
        ("TF CPU INPUTS 1 a OUTPUTS 1 b BLOB", NO_BLOB),
        # another word where the blob should be
        ("ONNX CPU FOO x", EXPECTED_BLOB),
        ("ONNX CPU BATCHSIZE 2 FOO x", EXPECTED_BLOB),
        ("ONNX CPU BATCHSIZE 2 TAG t BLOB x", EXPECTED_BLOB),
        ("ONNX CPU TAG t TAG u BLOB x", EXPECTED_BLOB),
        ("ONNX CPU BATCHSIZE 2 BATCHSIZE 3 BLOB x", EXPECTED_BLOB),
        ("ONNX CPU OUTPUTS 1 b BLOB x", EXPECTED_BLOB),
        ("TFLITE CPU FOO x", EXPECTED_BLOB),
        # INPUTS are for TF only
        ("ONNX CPU INPUTS 1 a OUTPUTS 1 b BLOB x", NOT_FOR_BACKEND),
        ("TORCH CPU INPUTS 1 a OUTPUTS 1 b BLOB x", NOT_FOR_BACKEND),
        ("TFLITE CPU TAG t INPUTS", NOT_FOR_BACKEND),
        ("ONNX CPU BATCHSIZE 2 inputs 1", NOT_FOR_BACKEND),
        # TF
        ("TF CPU BLOB x", TF_NO_INPUTS),
        ("TF CPU FOO 1 a OUTPUTS 1 b BLOB x", TF_NO_INPUTS),
        ("TF CPU OUTPUTS 1 b BLOB x", TF_NO_INPUTS),
        ("TF CPU TAG t INPUTS", INPUT_COUNT),
        ("TF CPU INPUTS foo a OUTPUTS 1 b BLOB x", INPUT_COUNT),
        ("TF CPU INPUTS 0 OUTPUTS 1 b BLOB x", INPUT_COUNT),
        ("TF CPU INPUTS -1 a OUTPUTS 1 b BLOB x", INPUT_COUNT),
        ("TF CPU INPUTS 3 a b", INPUTS_MISSING),
        ("TF CPU INPUTS 100 a OUTPUTS 1 b BLOB x", INPUTS_MISSING),
        ("TF CPU INPUTS 9223372036854775807 a OUTPUTS 1 b BLOB x", INPUTS_MISSING),
        ("TF CPU INPUTS 2 a b", TF_NO_OUTPUTS),
        ("TF CPU INPUTS 1 a FOO 1 b BLOB x", TF_NO_OUTPUTS),
        ("TF CPU INPUTS 1 a BLOB x", TF_NO_OUTPUTS),
        ("TF CPU INPUTS 1 a OUTPUTS", OUTPUT_COUNT),
        ("TF CPU INPUTS 1 a OUTPUTS foo b BLOB x", OUTPUT_COUNT),
        ("TF CPU INPUTS 1 a OUTPUTS 0 BLOB x", OUTPUT_COUNT),
        ("TF CPU INPUTS 1 a OUTPUTS -1 b BLOB x", OUTPUT_COUNT),
        ("TF CPU INPUTS 1 a OUTPUTS 2 b", OUTPUTS_MISSING),
        ("TF CPU INPUTS 1 a OUTPUTS 100 b BLOB x", OUTPUTS_MISSING),
        ("TF CPU INPUTS 1 a OUTPUTS 9223372036854775807 b BLOB x", OUTPUTS_MISSING),
        ("TF CPU INPUTS 1 a OUTPUTS 1 b", EXPECTED_BLOB),
        ("TF CPU INPUTS 1 a OUTPUTS 1 b c BLOB x", EXPECTED_BLOB),
        ("TF CPU INPUTS 1 a OUTPUTS 2 b BLOB x", EXPECTED_BLOB),
        # no models
        ("TF CPU INPUTS 1 a OUTPUTS 1 b BLOB x", NO_GRAPH_DEF),
        ("tf CPU inputs 2 a b outputs 1 c blob x", NO_GRAPH_DEF),
        ("TORCH CPU BLOB x", NO_ARCHIVE),
        ("TFLITE CPU BLOB x", NO_FLATBUFFER),
        ("TFLITE CPU BATCHSIZE 2 BLOB x", NO_FLATBUFFER),
    ],
)
def test_modelstore(raw, arguments, error):
    assert raw.call("AI.MODELSTORE", "m", *arguments.split()) == error
    assert raw.call("EXISTS", "m") == 0
    assert raw.call("AI._MODELSCAN") == []


@pytest.mark.parametrize("device", ["", "CPU ", " CPU", "C", b"CPU\0", "CPU: 1", b"CPU:1\0", "CPU:٣"], ids=repr)
def test_devices_that_cannot_be_typed(raw, device):
    assert raw.call("AI.MODELSTORE", "m", "ONNX", device, "BLOB", onnx_models.mul()) == DEVICE


CHECK_ORDER = [
    ("FOO", wrong_arity("AI.MODELSTORE")),
    ("FOO TPU BATCHSIZE x MINBATCHSIZE x", BACKEND),
    ("ONNX TPU BATCHSIZE x MINBATCHSIZE x", DEVICE),
    ("ONNX CPU BATCHSIZE x MINBATCHSIZE x MINBATCHTIMEOUT x INPUTS", BATCHSIZE),
    ("ONNX CPU BATCHSIZE 2 MINBATCHSIZE x MINBATCHTIMEOUT x INPUTS", MINBATCHSIZE),
    ("ONNX CPU MINBATCHSIZE 2 MINBATCHTIMEOUT x INPUTS", NO_BATCHSIZE),
    ("ONNX CPU BATCHSIZE 2 MINBATCHSIZE 2 MINBATCHTIMEOUT x INPUTS", MINBATCHTIMEOUT),
    ("ONNX CPU MINBATCHTIMEOUT 2 INPUTS", NO_MINBATCHSIZE),
    ("ONNX CPU BATCHSIZE 2 MINBATCHSIZE 2 MINBATCHTIMEOUT 2 INPUTS", NOT_FOR_BACKEND),
    ("TF CPU INPUTS x a OUTPUTS x b", INPUT_COUNT),
    ("TF CPU INPUTS 1 a OUTPUTS x b", OUTPUT_COUNT),
    ("TF CPU INPUTS 1 a OUTPUTS 1 b FOO", EXPECTED_BLOB),
    ("TF CPU INPUTS 1 a OUTPUTS 1 b BLOB", NO_BLOB),
    ("ONNX CPU BLOB x", Error("Failed to load model because protobuf parsing failed.")),
]


@pytest.mark.parametrize("arguments, error", CHECK_ORDER)
def test_modelstore_check_order(raw, arguments, error):
    """The key holds another type throughout: that is reported last of all."""
    set_tensor(raw, "t", [1])
    assert raw.call("AI.MODELSTORE", "t", *arguments.split()) == error


def test_modelstore_over_another_type_comes_last(raw):
    raw.call("SET", "s", "text")
    assert raw.call("AI.MODELSTORE", "s", "ONNX", "CPU", "BLOB", onnx_models.mul()) == WRONGTYPE
    assert raw.call("GET", "s") == b"text"
    assert raw.call("AI._MODELSCAN") == []


@pytest.mark.parametrize(
    "command, error",
    [
        ("AI.MODELGET none", NO_MODEL),
        ("AI.MODELGET none META", NO_MODEL),
        ("AI.MODELGET s", WRONGTYPE),
        ("AI.MODELGET t BLOB", WRONGTYPE),
        ("AI.MODELDEL none", NO_MODEL),
        ("AI.MODELDEL s", WRONGTYPE),
        ("AI.MODELDEL t", WRONGTYPE),
        ("AI.MODELDEL none x", wrong_arity("AI.MODELDEL")),
    ],
)
def test_modelget_and_modeldel(raw, command, error):
    raw.call("SET", "s", "text")
    set_tensor(raw, "t", [1])
    assert raw.call(*words(command)) == error
    assert raw.call("EXISTS", "s", "t") == 2


@pytest.mark.parametrize("arguments", ["TF CPU INPUTS 1 a OUTPUTS 1 b", "TORCH CPU", "TFLITE CPU", "ONNX CPU"])
def test_engine_that_is_not_there(start_server, tmp_path, arguments):
    """The client gets an error; the log says where the engine was looked for, and how to get it."""
    server = start_server("BACKENDSPATH", str(tmp_path))
    with server.raw() as client:
        assert client.call("AI.MODELSTORE", "m", *arguments.split(), "BLOB", "x") == NO_BACKEND
    name = arguments.split()[0]
    assert f"the {name} engine was asked for and could not be loaded from {tmp_path}/redisai_" in server.log_text()
    assert f"`make engines ENGINES={name.lower()}`" in server.log_text()
