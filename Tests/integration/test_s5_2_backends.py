"""Reference sections 3.17 and 5.2: when and from where an engine is loaded. Each test has a fresh process."""

import os
import shutil

import pytest

from support import onnx_models
from support.commands import store_command, wrong_arity
from support.resp import OK, Error

BACKEND = "redisai_onnxruntime/redisai_onnxruntime.so"
FAILED = Error("ERR error loading backend")
NOT_LOADED = Error("ERR Could not load backend")
MODEL = store_command("m", onnx_models.mul())


@pytest.fixture
def backends_path(module_path):
    return os.path.join(os.path.dirname(module_path), "backends")


@pytest.fixture
def foreign_backends(backends_path, tmp_path):
    """A copy of the one backend that is used here, outside the BACKENDSPATH."""
    folder = os.path.dirname(BACKEND)
    shutil.copytree(os.path.join(backends_path, folder), tmp_path / "foreign" / folder)
    return tmp_path / "foreign"


def test_nothing_is_loaded_at_start(start_server):
    server = start_server()
    assert "ai_onnxruntime_version" not in server.info("modules")
    with open(f"/proc/{server.pid}/maps") as maps:
        assert "onnxruntime" not in maps.read()


def test_the_first_model_loads_its_backend(start_server):
    server = start_server()
    raw = server.raw()
    assert raw.call(*MODEL) == OK
    assert "ai_onnxruntime_version" in server.info("modules")
    assert raw.call("AI.CONFIG", "LOADBACKEND", "ONNX", BACKEND) == FAILED  # once per process


def test_a_refused_command_loads_nothing(start_server):
    server = start_server()
    assert server.raw().call("AI.MODELSTORE", "m", "ONNX", "CPU", "FOO", "x") == Error(
        "ERR Invalid argument, expected BLOB"
    )
    assert "ai_onnxruntime_version" not in server.info("modules")


@pytest.mark.parametrize("command", [["AI.CONFIG", "LOADBACKEND", "ONNX"], ["ai.config", "loadbackend", "onnx"]])
def test_loadbackend(start_server, command):
    server = start_server()
    raw = server.raw()
    assert raw.call(*command) == wrong_arity(command[0])
    assert raw.call(*command, BACKEND) == OK
    assert "ai_onnxruntime_version" in server.info("modules")
    assert raw.call(*command, BACKEND) == FAILED
    assert raw.call(*MODEL) == OK


def test_loadbackend_by_absolute_path_and_with_extra_arguments(start_server, backends_path):
    raw = start_server().raw()
    assert raw.call("AI.CONFIG", "LOADBACKEND", "ONNX", os.path.join(backends_path, BACKEND), "extra") == OK


def test_loadbackend_of_what_is_not_a_backend(start_server, tmp_path, module_path):
    """Every refusal leaves the server ready for the right path."""
    raw = start_server().raw()
    for backend in ("TF", "TFLITE", "TORCH", "ONNX"):
        for path in (".", "", "no/such.so", "/no/such.so", "redisai_onnxruntime", "/etc/passwd", module_path):
            assert raw.call("AI.CONFIG", "LOADBACKEND", backend, path) == FAILED, (backend, path)
    assert raw.call("AI.CONFIG", "LOADBACKEND", "ONNX", BACKEND) == OK


def test_loadbackend_outside_backendspath(start_server, foreign_backends):
    raw = start_server().raw()
    assert raw.call("AI.CONFIG", "LOADBACKEND", "ONNX", str(foreign_backends / BACKEND)) == FAILED


def test_loadbackend_leaving_backendspath_by_dots(start_server, foreign_backends, backends_path):
    path = os.path.join("..", os.path.relpath(foreign_backends / BACKEND, os.path.dirname(backends_path)))
    assert os.path.isfile(os.path.join(backends_path, path))
    raw = start_server().raw()
    assert raw.call("AI.CONFIG", "LOADBACKEND", "ONNX", path) == FAILED
    assert raw.call("AI.CONFIG", "LOADBACKEND", "ONNX", os.path.join(backends_path, path)) == FAILED


def test_loadbackend_outside_backendspath_when_allowed(start_server, foreign_backends):
    server = start_server("ALLOW_FOREIGN_BACKENDS", "yes")
    raw = server.raw()
    assert raw.call("AI.CONFIG", "LOADBACKEND", "ONNX", str(foreign_backends / BACKEND)) == OK
    assert raw.call(*MODEL) == OK


def test_backendspath_set_by_a_client_opens_no_other_directory(start_server, foreign_backends):
    """Or the switch above would be worth nothing."""
    raw = start_server().raw()
    assert raw.call("AI.CONFIG", "BACKENDSPATH", str(foreign_backends)) == OK
    assert raw.call("AI.CONFIG", "LOADBACKEND", "ONNX", BACKEND) == FAILED
    assert raw.call(*MODEL) == NOT_LOADED


def test_backendspath_set_by_a_client_is_used_when_allowed(start_server, foreign_backends):
    server = start_server("ALLOW_FOREIGN_BACKENDS", "yes")
    raw = server.raw()
    assert raw.call("AI.CONFIG", "BACKENDSPATH", str(foreign_backends)) == OK
    assert raw.call(*MODEL) == OK
    with open(f"/proc/{server.pid}/maps") as maps:
        assert str(foreign_backends) in maps.read()


def test_a_missing_engine_is_an_error_and_can_be_cured(start_server, backends_path):
    raw = start_server().raw()
    assert raw.call("AI.CONFIG", "BACKENDSPATH", os.path.join(backends_path, "none")) == OK
    assert raw.call(*MODEL) == NOT_LOADED
    assert raw.call("AI.CONFIG", "BACKENDSPATH", backends_path) == OK
    assert raw.call(*MODEL) == OK
