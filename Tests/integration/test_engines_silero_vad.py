"""silero-vad, a voice detector with a memory: its TorchScript and ONNX files in one server, as the package runs them.

A chunk's answer depends on all chunks before it, in one of three ways: the ONNX file takes and returns the state; so
does the network inside the TorchScript file; the TorchScript file as it is published keeps the state in itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import redis
from support.audio import speech
from support.tensors import get_tensor, run_model, set_tensor, store_model
from support.workshop import from_environment, handed_over, made_with_torch

pytestmark = pytest.mark.one_server
TOLERANCE = 1e-4
RATE = 16000
CHUNK, CONTEXT = 512, 64
STATE_SHAPE = (2, 1, 128)
MINIMUM_CHUNKS = 100
RATE_TENSOR = np.array(RATE, dtype=np.int64)


@dataclass(frozen=True)
class Package:
    """What the silero-vad package says about the chunks, and the network inside its TorchScript file."""

    jit: np.ndarray
    onnx: np.ndarray
    inner_model: bytes


@pytest.fixture(scope="session")
def chunks() -> np.ndarray:
    """Pieces of a sound, one after another: [count, CHUNK]."""
    sound = speech(RATE)
    count = len(sound) // CHUNK
    assert count >= MINIMUM_CHUNKS
    return sound[: count * CHUNK].reshape(count, CHUNK)


@pytest.fixture(scope="session")
def package(chunks: np.ndarray) -> Package:
    folder = made_with_torch("silero_vad_answers.py", handed_over("silero-vad", chunks=chunks))
    answers = np.load(folder / "answers.npz")
    return Package(answers["jit"], answers["onnx"], (folder / "inner.jit").read_bytes())


@pytest.fixture(scope="session")
def published() -> dict[str, bytes]:
    """The package's own files by their suffix."""
    folder = Path(from_environment("REDISAI_SILERO_VAD")) / "silero_vad" / "data"
    return {suffix: (folder / f"silero_vad.{suffix}").read_bytes() for suffix in ("jit", "onnx")}


def with_context(chunks: np.ndarray) -> np.ndarray:
    """Each chunk after the end of the one before it, as the network wants them: [count, 1, CONTEXT + CHUNK]."""
    ends = np.concatenate([np.zeros((1, CONTEXT), np.float32), chunks[:-1, -CONTEXT:]])
    return np.concatenate([ends, chunks], axis=1)[:, np.newaxis]


def run_with_state(client: redis.Redis, key: str, chunks: np.ndarray, *others: np.ndarray) -> np.ndarray:
    """The probabilities. The state stays in the server: the run reads the key `{vad}state` and replaces it."""
    set_tensor(client, "{vad}state", np.zeros(STATE_SHAPE, np.float32))
    inputs = ["{vad}chunk", "{vad}state"]
    for index, other in enumerate(others):
        inputs.append(f"{{vad}}other{index}")
        set_tensor(client, inputs[-1], other)
    outputs = ["{vad}probability", "{vad}state"]
    command = ["AI.MODELEXECUTE", key, "INPUTS", len(inputs), *inputs, "OUTPUTS", len(outputs), *outputs]
    probabilities = []
    for chunk in with_context(chunks):
        set_tensor(client, "{vad}chunk", chunk)
        assert client.execute_command(*command) == b"OK"
        probabilities.append(get_tensor(client, "{vad}probability").item())
    return np.array(probabilities)


def run_published_jit(client: redis.Redis, key: str, chunks: np.ndarray) -> np.ndarray:
    """The probabilities; the module keeps its state and forgets it when the number of sounds changes."""
    run_model(client, key, [np.zeros((2, CHUNK), np.float32), RATE_TENSOR], 1)
    answers = [run_model(client, key, [chunk[np.newaxis], RATE_TENSOR], 1)[0] for chunk in chunks]
    return np.array([answer.item() for answer in answers])


def assert_same(actual: np.ndarray, expected: np.ndarray) -> None:
    assert len(actual) >= MINIMUM_CHUNKS
    np.testing.assert_allclose(actual, expected, rtol=0, atol=TOLERANCE)


def test_state_as_tensors(
    client: redis.Redis, chunks: np.ndarray, package: Package, published: dict[str, bytes]
) -> None:
    store_model(client, "{vad}torch", "TORCH", package.inner_model)
    store_model(client, "{vad}onnx", "ONNX", published["onnx"])
    of_torch = run_with_state(client, "{vad}torch", chunks)
    of_onnx = run_with_state(client, "{vad}onnx", chunks, RATE_TENSOR)
    assert_same(of_torch, package.jit)
    assert_same(of_onnx, package.onnx)
    assert_same(of_torch, of_onnx)


def test_state_in_the_module(
    client: redis.Redis, chunks: np.ndarray, package: Package, published: dict[str, bytes]
) -> None:
    """The published file. Its `forward(x, sr: int)` takes a number, which is a scalar tensor here."""
    store_model(client, "{vad}jit", "TORCH", published["jit"])
    assert_same(run_published_jit(client, "{vad}jit", chunks), package.jit)
    assert_same(run_published_jit(client, "{vad}jit", chunks), package.jit)


def test_there_is_something_to_hear(package: Package) -> None:
    """Answers that are the same everywhere would agree too."""
    assert (package.jit > 0.9).sum() > 20
    assert (package.jit < 0.1).sum() > 20


def test_modelget_returns_the_bytes(client: redis.Redis, published: dict[str, bytes]) -> None:
    for suffix, backend in (("jit", "TORCH"), ("onnx", "ONNX")):
        store_model(client, suffix, backend, published[suffix])
        assert client.execute_command("AI.MODELGET", suffix, "BLOB") == published[suffix]
