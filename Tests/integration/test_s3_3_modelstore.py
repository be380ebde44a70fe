"""Reference section 3.3: AI.MODELSTORE stores models with their options. Its errors are in test_s4_4_*."""

import numpy as np
import pytest

from support import onnx_models
from support.commands import execute, get_tensor, pairs, set_tensor, stats, store_command, store_model, words
from support.resp import OK, Error

MUL = onnx_models.mul()


@pytest.mark.parametrize(
    "options, tag, batchsize, minbatchsize, minbatchtimeout",
    [
        ("", b"", 0, 0, 0),
        ("TAG v1", b"v1", 0, 0, 0),
        ("TAG v1 BATCHSIZE 8", b"v1", 8, 0, 0),
        ("BATCHSIZE 8 MINBATCHSIZE 2", b"", 8, 2, 0),
        ("TAG v1 BATCHSIZE 8 MINBATCHSIZE 2 MINBATCHTIMEOUT 30", b"v1", 8, 2, 30),
        ("tag v1 batchsize 8 minbatchsize 2 minbatchtimeout 30", b"v1", 8, 2, 30),
        ("BATCHSIZE 3.0 MINBATCHSIZE 2.0 MINBATCHTIMEOUT 1.0", b"", 3, 2, 1),
        ("BATCHSIZE 0", b"", 0, 0, 0),
        ("MINBATCHSIZE 0", b"", 0, 0, 0),
        ("MINBATCHTIMEOUT 0", b"", 0, 0, 0),
        ("BATCHSIZE 0 MINBATCHSIZE 0 MINBATCHTIMEOUT 0", b"", 0, 0, 0),
        ("TAG TAG", b"TAG", 0, 0, 0),
        ("TAG BLOB", b"BLOB", 0, 0, 0),
    ],
)
def test_options(raw, options, tag, batchsize, minbatchsize, minbatchtimeout):
    store_model(raw, "m", MUL, *options.split())
    meta = pairs(raw.call("AI.MODELGET", "m", "META"))
    assert meta["tag"] == tag
    assert (meta["batchsize"], meta["minbatchsize"], meta["minbatchtimeout"]) == (
        batchsize,
        minbatchsize,
        minbatchtimeout,
    )


@pytest.mark.parametrize("backend", ["ONNX", "onnx", "Onnx"])
def test_backend_in_any_case(raw, backend):
    assert raw.call("AI.MODELSTORE", "m", backend, "CPU", "BLOB", MUL) == OK
    assert pairs(raw.call("AI.MODELGET", "m", "META"))["backend"] == b"ONNX"


@pytest.mark.parametrize("device", ["CPU", "cpu", "Cpu", "CPU:", "cpu:0", "CPU:1", "CPU:12345"])
def test_device_is_kept_as_sent(raw, device):
    store_model(raw, "m", MUL, device=device)
    assert pairs(raw.call("AI.MODELGET", "m", "META"))["device"] == device.encode()
    assert stats(raw, "m")["device"] == device.encode()
    set_tensor(raw, "a", [[1, 2]])
    assert execute(raw, "m", ["a", "a"], ["b"]) == OK


@pytest.mark.parametrize("device", ["GPU", "gpu", "GPU:", "GPU:0", "gpu:12345"])
def test_gpu_on_a_library_without_cuda(raw, device):
    assert raw.call(*store_command("m", MUL, device=device)) == Error("ERR GPU requested but ONNX couldn't find CUDA")
    assert raw.call("EXISTS", "m") == 0


def test_lower_case_keywords(raw):
    assert raw.call("ai.modelstore", "m", "onnx", "cpu", "blob", MUL) == OK


@pytest.mark.parametrize("size", [1, 7, 100])
def test_chunks_are_joined(raw, size):
    chunks = [MUL[i : i + size] for i in range(0, len(MUL), size)]
    assert raw.call("AI.MODELSTORE", "m", "ONNX", "CPU", "BLOB", *chunks) == OK
    assert raw.call("AI.MODELGET", "m", "BLOB") == MUL


def test_empty_chunks_are_harmless(raw):
    assert raw.call("AI.MODELSTORE", "m", "ONNX", "CPU", "BLOB", b"", MUL, b"") == OK
    assert raw.call("AI.MODELGET", "m", "BLOB") == MUL


def test_storing_again_replaces_the_model_and_its_counters(raw):
    store_model(raw, "m", onnx_models.add_constant(1), "TAG", "one")
    set_tensor(raw, "x", [1])
    assert execute(raw, "m", ["x"], ["y"]) == OK
    assert stats(raw, "m")["calls"] == 1

    store_model(raw, "m", onnx_models.add_constant(10), "TAG", "ten")
    assert (stats(raw, "m")["calls"], stats(raw, "m")["tag"]) == (0, b"ten")
    assert execute(raw, "m", ["x"], ["y"]) == OK
    assert get_tensor(raw, "y").tolist() == [11]


def test_a_refused_model_leaves_the_old_one(raw):
    store_model(raw, "m", onnx_models.add_constant(1))
    assert isinstance(raw.call(*store_command("m", onnx_models.NOT_PROTOBUF)), Error)
    set_tensor(raw, "x", [1])
    assert execute(raw, "m", ["x"], ["y"]) == OK
    assert get_tensor(raw, "y").tolist() == [2]


def test_tag_is_binary_safe(raw):
    store_model(raw, "m", MUL, "TAG", b"a\0b \xff")
    assert pairs(raw.call("AI.MODELGET", "m", "META"))["tag"] == b"a\0b \xff"


def test_other_clients_are_served_while_a_model_is_built(server, raw):
    """A model is built off the main thread, so this connection waits and the others do not."""
    raw.send(*store_command("m", onnx_models.big_weights(60)))
    with server.raw() as other:
        set_tensor(other, "t", np.zeros(3, dtype=np.float32))
    assert raw.read() == OK


def test_the_stored_model_is_ready_when_the_reply_comes(raw):
    set_tensor(raw, "x", [1])
    store, run = store_command("m", onnx_models.add_constant(2)), words("AI.MODELEXECUTE m INPUTS 1 x OUTPUTS 1 y")
    assert raw.pipeline([store, run]) == [OK, OK]
    assert get_tensor(raw, "y").tolist() == [3]
