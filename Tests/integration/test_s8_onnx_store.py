"""Reference section 8, ONNX row: which models are refused when they are stored."""

import os

import pytest

from support import onnx_models
from support.commands import NO_MODEL, store_command, store_model
from support.resp import OK, Error

EXTERNAL = Error("Initializer tensors with external data is not allowed.")
EXTERNAL_MODELS = {
    "initializer": onnx_models.external_initializer,
    "if": onnx_models.external_in_if,
    "loop": onnx_models.external_in_loop,
    "constant": onnx_models.external_in_constant,
    "function": onnx_models.external_in_function,
}


def test_no_graph(raw):
    assert raw.call(*store_command("m", onnx_models.no_graph())) == Error("No graph was found in the protobuf.")


def test_empty_blob(raw):
    assert raw.call(*store_command("m", b"")) == Error("No graph was found in the protobuf.")


def test_not_protobuf(raw):
    reply = raw.call(*store_command("m", onnx_models.NOT_PROTOBUF))
    assert reply == Error("Failed to load model because protobuf parsing failed.")


@pytest.mark.one_server
def test_truncated_model(raw):
    model = onnx_models.mul_by_weights()
    for length in range(1, len(model)):
        assert raw.call(*store_command("m", model[:length])) != OK
    assert raw.call("AI.MODELGET", "m") == NO_MODEL


@pytest.mark.parametrize("model", EXTERNAL_MODELS.values(), ids=EXTERNAL_MODELS.keys())
@pytest.mark.parametrize("location", ["weights.bin", "/etc/passwd", "../weights.bin", ""], ids=repr)
def test_external_data_is_refused(server, raw, model, location):
    """Even if the file exists in the server's directory: a client must not make the server read files."""
    (server.directory / "weights.bin").write_bytes(b"\0\0\x80\x3f")
    assert raw.call(*store_command("m", model(location))) == EXTERNAL
    assert raw.call("EXISTS", "m") == 0


def test_a_refused_model_is_not_counted(raw):
    raw.call(*store_command("m", onnx_models.NOT_PROTOBUF))
    assert raw.call("AI._MODELSCAN") == []


def test_storing_leaves_no_files(server, raw):
    before = sorted(os.listdir(server.directory))
    store_model(raw, "m", onnx_models.big_weights(5))
    assert sorted(os.listdir(server.directory)) == before
