"""all-MiniLM-L6-v2, a sentence-embedding model of 90 MB, as TorchScript and as ONNX in one server."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import redis
from support.minilm_export import minilm_onnx_bytes, read_safetensors
from support.minilm_reference import embed
from support.tensors import run_model, store_model
from support.wordpiece import WordPiece
from support.workshop import from_environment, handed_over, made_with_torch

pytestmark = pytest.mark.one_server
TOLERANCE = 1e-5
SENTENCES = (
    "The weather is lovely today.",
    "A bank transfer of 900 euros to an unknown account at three in the morning",
    "short",
    "The tensor is stored in the server's memory and every client reads it from there. " * 12,
)


@pytest.fixture(scope="session")
def folder() -> Path:
    return Path(from_environment("REDISAI_MINILM"))


@pytest.fixture(scope="session")
def weights(folder: Path) -> dict[str, np.ndarray]:
    return read_safetensors(folder / "model.safetensors")


@pytest.fixture(scope="session")
def torch_model(weights: dict[str, np.ndarray]) -> bytes:
    return (made_with_torch("minilm_torch.py", handed_over("minilm", **weights)) / "model.pt").read_bytes()


@pytest.fixture(scope="session")
def tokenizer(folder: Path) -> WordPiece:
    return WordPiece(folder / "vocab.txt")


@pytest.fixture
def stored(client: redis.Redis, folder: Path, torch_model: bytes) -> redis.Redis:
    """The client of a server that holds the model under `torch` and `onnx`."""
    store_model(client, "torch", "TORCH", torch_model)
    store_model(client, "onnx", "ONNX", minilm_onnx_bytes(folder))
    return client


def test_torch_equals_onnx_and_plain_numpy(
    stored: redis.Redis, tokenizer: WordPiece, weights: dict[str, np.ndarray]
) -> None:
    """Padding, which the sentences get in a batch, changes nothing."""
    inputs = tokenizer.batch(SENTENCES)
    (of_torch,), (of_onnx,) = run_model(stored, "torch", inputs, 1), run_model(stored, "onnx", inputs, 1)
    plain = np.stack([embed(weights, np.array(tokenizer.encode(sentence))) for sentence in SENTENCES])
    np.testing.assert_allclose(of_torch, of_onnx, rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(of_torch, plain, rtol=0, atol=TOLERANCE)


def test_modelget_returns_the_bytes(stored: redis.Redis, torch_model: bytes) -> None:
    assert len(torch_model) > 90_000_000
    assert stored.execute_command("AI.MODELGET", "torch", "BLOB") == torch_model
