"""What needs a GPU. Without one these tests are not run, and the summary says so; see conftest.py."""

import numpy as np
import pytest

from support.commands import execute, get_tensor, pairs, set_tensor
from support.engines import ENGINES, ROWS, assert_doubles, assert_script_doubles, store, store_script
from support.fraud_models import answers, onnx_model, samples, torch_model
from support.resp import OK

pytestmark = pytest.mark.gpu

TORCH = next(engine for engine in ENGINES if engine.name == "TORCH")
ONNX = next(engine for engine in ENGINES if engine.name == "ONNX")
DEVICES = ["GPU", "GPU:0"]
TOLERANCE = 1e-4
SCRIPT = """
def where(tensors: List[Tensor], keys: List[str], args: List[str]):
    on_gpu = tensors[0].is_cuda and tensors[1].is_cuda
    return torch.tensor([int(on_gpu)]), tensors[0] + tensors[1]
"""


def run_fraud(raw, key):
    inputs = samples(7)
    for name, array in inputs.items():
        set_tensor(raw, name, array)
    assert execute(raw, key, list(inputs), ["y"]) == OK
    return get_tensor(raw, "y")


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("engine", [TORCH, ONNX], ids=["TORCH", "ONNX"])
def test_a_model_on_the_gpu(raw, engine, device):
    store(raw, engine, "m", device)
    assert pairs(raw.call("AI.MODELGET", "m", "META"))["device"] == device.encode()
    assert_doubles(raw, "m")


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("backend, make", [("TORCH", torch_model), ("ONNX", onnx_model)], ids=["TORCH", "ONNX"])
def test_answers_are_those_of_the_cpu(raw, backend, make, device):
    for key, where in (("cpu", "CPU"), ("gpu", device)):
        assert raw.call("AI.MODELSTORE", key, backend, where, "BLOB", make()) == OK
    on_gpu = run_fraud(raw, "gpu")
    np.testing.assert_allclose(on_gpu, run_fraud(raw, "cpu"), rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(on_gpu, answers(**samples(7)), rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("device", DEVICES)
def test_scripts_get_tensors_of_the_gpu(raw, device):
    """The original passed tensors of the CPU. What the script returns is back in the server's memory."""
    assert raw.call("AI.SCRIPTSTORE", "s", device, "ENTRY_POINTS", 1, "where", "SOURCE", SCRIPT) == OK
    set_tensor(raw, "x", ROWS)
    command = ["AI.SCRIPTEXECUTE", "s", "where", "INPUTS", 2, "x", "x", "OUTPUTS", 2, "on_gpu", "sum"]
    assert raw.call(*command) == OK
    assert get_tensor(raw, "on_gpu").tolist() == [1]
    assert np.array_equal(get_tensor(raw, "sum"), ROWS * 2)


@pytest.mark.parametrize("model_device", ["CPU", "GPU"])
def test_a_script_on_the_gpu_runs_models_of_either(raw, model_device):
    store_script(raw, device="GPU")
    store(raw, TORCH, "m", model_device)
    assert_script_doubles(raw, "m")


def test_gpu_and_gpu_0_are_two_queues(server, raw):
    for device in DEVICES:
        store(raw, TORCH, device, device)
    text = raw.call("INFO", "modules").decode()
    assert all(f"ai_queue_{device}_bthread_n1_used_cpu_total:" in text for device in DEVICES)


def test_restart(server, raw):
    store(raw, TORCH, "torch", "GPU")
    store(raw, ONNX, "onnx", "GPU:0")
    server.restart()
    raw = server.raw()
    for key in ("torch", "onnx"):
        assert_doubles(raw, key)


def test_a_gpu_that_is_not_there(raw):
    reply = raw.call("AI.MODELSTORE", "m", "TORCH", "GPU:99", "BLOB", TORCH.model())
    assert reply != OK
    assert raw.call("EXISTS", "m") == 0
