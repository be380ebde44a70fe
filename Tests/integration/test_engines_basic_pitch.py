"""basic-pitch, an audio-to-notes network: its SavedModel, LiteRT and ONNX files in one server.

The three files hold the same weights. Their answers agree with each other and with those of the basic-pitch package,
which ran each file in its own Python.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import redis
from support.audio import music
from support.tensors import names, run_model, store_model
from support.tf_models import archive
from support.workshop import from_environment, handed_over, made_with_tensorflow

pytestmark = pytest.mark.one_server
TOLERANCE = 1e-3
RATE = 22050
WINDOW = 43844
HOP = WINDOW - 30 * 256
MINIMUM_WINDOWS = 20
BATCH = 4

# The package's file, also the key, and the engine.
FILES = {"nmp": "TF", "nmp.tflite": "TFLITE", "nmp.onnx": "ONNX"}

# What the outputs are. The converters kept the numbers of the SavedModel's outputs, not the names.
MEANING = {
    "StatefulPartitionedCall:0": "contour",
    "StatefulPartitionedCall:1": "note",
    "StatefulPartitionedCall:2": "onset",
    "contour": "contour",
    "note": "note",
    "onset": "onset",
}

Answers = dict[str, np.ndarray]


@pytest.fixture(scope="session")
def windows() -> np.ndarray:
    """Overlapping pieces of music, [count, WINDOW, 1], as the package cuts them."""
    sound = music(RATE)
    pieces = [sound[start : start + WINDOW] for start in range(0, len(sound) - WINDOW, HOP)]
    assert len(pieces) >= MINIMUM_WINDOWS
    return np.stack(pieces)[..., np.newaxis]


@pytest.fixture(scope="session")
def of_package(windows: np.ndarray) -> dict[str, Answers]:
    """What the package says to all windows, per file."""
    folder = made_with_tensorflow("basic_pitch_answers.py", handed_over("basic-pitch", windows=windows))
    return {name: dict(np.load(folder / f"{name}.npz")) for name in FILES}


@pytest.fixture(scope="session")
def models() -> dict[str, bytes]:
    folder = Path(from_environment("REDISAI_BASIC_PITCH")) / "basic_pitch" / "saved_models" / "icassp_2022"
    return {name: archive(folder / name) if name == "nmp" else (folder / name).read_bytes() for name in FILES}


@pytest.fixture
def stored(client: redis.Redis, models: dict[str, bytes]) -> redis.Redis:
    """The client of a server that holds all three."""
    for name, backend in FILES.items():
        store_model(client, name, backend, models[name])
    return client


def of_server(client: redis.Redis, name: str, windows: np.ndarray) -> Answers:
    meanings = [MEANING[output] for output in names(client, name, "outputs")]
    return dict(zip(meanings, run_model(client, name, [windows], len(meanings))))


def assert_same(actual: Answers, expected: Answers, what: str) -> None:
    assert set(actual) == set(expected) == {"note", "onset", "contour"}
    for meaning, array in expected.items():
        np.testing.assert_allclose(actual[meaning], array, rtol=0, atol=TOLERANCE, err_msg=f"{what}: {meaning}")


def test_window_by_window(stored: redis.Redis, windows: np.ndarray, of_package: dict[str, Answers]) -> None:
    for index in range(len(windows)):
        piece = windows[index : index + 1]
        answers = {name: of_server(stored, name, piece) for name in FILES}
        for name in FILES:
            expected = {meaning: array[index : index + 1] for meaning, array in of_package[name].items()}
            assert_same(answers[name], expected, f"window {index}, {name} and the package")
            assert_same(answers[name], answers["nmp"], f"window {index}, {name} and nmp")


def test_in_batches(stored: redis.Redis, windows: np.ndarray, of_package: dict[str, Answers]) -> None:
    for name in FILES:
        actual = of_server(stored, name, windows[:BATCH])
        assert_same(actual, {meaning: array[:BATCH] for meaning, array in of_package[name].items()}, name)


def test_there_is_something_to_hear(of_package: dict[str, Answers]) -> None:
    """Answers that are near zero everywhere would agree too."""
    for answers in of_package.values():
        assert answers["note"].max() > 0.5 and answers["onset"].max() > 0.5
        assert answers["note"].min() < 0.1


@pytest.mark.parametrize("name", FILES)
def test_modelget_returns_the_bytes(stored: redis.Redis, models: dict[str, bytes], name: str) -> None:
    assert stored.execute_command("AI.MODELGET", name, "BLOB") == models[name]
