"""The adapter for TensorFlow Serving against a server of its published messages."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from suite.serving import Step, Workload
from suite.systems import prediction_messages
from suite.systems.check import TOLERANCE, expected_answers
from suite.systems.clients import Player, spliced
from suite.systems.running import Running
from suite.systems.tensorflow_serving import SYSTEM as GRPC
from suite.systems.tensorflow_serving import TensorFlowServing
from suite.systems.tensorflow_serving_rest import SYSTEM as REST

PARTS = Path(__file__).with_name("prediction_server")
ENTRIES = 3


@pytest.fixture
def server_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server as one executable, as the adapter expects it."""
    program = tmp_path / "tensorflow_model_server"
    packages = os.environ["REDISAI_TENSORFLOW_SERVING_API"]
    words = f'exec "{os.environ["REDISAI_FLASK"]}" "{PARTS / "tensorflow_model_server.py"}" "$@"'
    program.write_text(f'#!/bin/sh\nPYTHONPATH="{packages}" CUDA_VISIBLE_DEVICES= {words}\n')
    program.chmod(0o755)
    monkeypatch.setenv("TENSORFLOW_MODEL_SERVER", str(program))


@pytest.fixture(params=["store", "none"])
def workload(request: pytest.FixtureRequest) -> Workload:
    return Workload(reference=request.param, reference_bytes=4096, entries=ENTRIES)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "private"
    path.mkdir()
    return path


def exchange(running: Running, step: Step, payload: bytes) -> bytes:
    command = [os.environ["REDISAI_FLASK"], PARTS / "call.py", str(running.targets["main"].port), str(step.path)]
    return subprocess.run(command, input=payload, stdout=subprocess.PIPE, check=True, timeout=60).stdout


def test_grpc_answers(server_program: None, workload: Workload, folder: Path) -> None:
    expected = expected_answers(workload)
    with GRPC.start(workload, folder) as running, Player(running.targets) as player:
        for index in (0, ENTRIES - 1):
            *before, last = running.request(index)
            payload = spliced(last, player.play(tuple(before)))
            reply = exchange(running, last, payload)
            assert np.allclose(running.probabilities(reply), expected[index], atol=TOLERANCE)


def test_rest_answers(server_program: None, folder: Path) -> None:
    workload = Workload(reference_bytes=4096, entries=ENTRIES)
    with REST.start(workload, folder) as running, Player(running.targets) as player:
        reply = player.play(running.request(1))
        assert np.allclose(running.probabilities(reply), expected_answers(workload)[1], atol=TOLERANCE)


def test_the_record_is_spliced_where_it_belongs() -> None:
    blank = np.full((1, 256), 7, np.float32)
    record = np.arange(256, dtype=np.float32)[np.newaxis]
    inputs = {"transaction": np.zeros((1, 30), np.float32)}
    payload = prediction_messages.request("fraud", "s", inputs | {"reference": blank})
    wanted = prediction_messages.request("fraud", "s", inputs | {"reference": record})
    assert payload.replace(blank.tobytes(), record.tobytes()) == wanted


@pytest.mark.parametrize("system", [GRPC, REST])
def test_it_says_that_there_is_no_server(system: TensorFlowServing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TENSORFLOW_MODEL_SERVER", raising=False)
    monkeypatch.setenv("PATH", "/nowhere")
    assert "tensorflow_model_server" in str(system.unavailable())
