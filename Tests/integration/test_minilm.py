"""A sentence-embedding model of 90 MB (all-MiniLM-L6-v2): right answers, bytes kept, survives dump and restart."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import redis
from support.minilm_export import INPUT_NAMES, minilm_onnx_bytes, read_safetensors
from support.minilm_reference import embed
from support.server import Server
from support.tensors import run_model, store_onnx
from support.wordpiece import WordPiece

TOLERANCE = 1e-5

# Distances between these sentences as the documentation of sentence-transformers prints them for this model.
PUBLISHED_SENTENCES = ("The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium.")
PUBLISHED_COSINE = np.array([[1.0, 0.6660, 0.1046], [0.6660, 1.0, 0.1411], [0.1046, 0.1411, 1.0]])
PUBLISHED_MANHATTAN = np.array([[0, 12.6269, 20.2167], [12.6269, 0, 20.1288], [20.2167, 20.1288, 0]])

SENTENCES = (
    *PUBLISHED_SENTENCES,
    "A bank transfer of 900 euros to an unknown account at three in the morning",
    "Überweisung: 900 € an Konto №4711, naïve café — 東京",
    "short",
    "",
    "The tensor is stored in the server's memory and every client reads it from there. " * 12,
)


@pytest.fixture(scope="session")
def folder() -> Path:
    """The folder with the model's weights and vocabulary."""
    path = os.environ.get("REDISAI_MINILM")
    if not path:
        pytest.fail("set REDISAI_MINILM to the folder with the weights of all-MiniLM-L6-v2; 'make test' does")
    return Path(path)


@pytest.fixture(scope="session")
def model(folder: Path) -> bytes:
    return minilm_onnx_bytes(folder)


@pytest.fixture(scope="session")
def tokenizer(folder: Path) -> WordPiece:
    return WordPiece(folder / "vocab.txt")


@pytest.fixture(scope="session")
def session(model: bytes) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(model)


@pytest.fixture(scope="session")
def plain_embeddings(folder: Path, tokenizer: WordPiece) -> np.ndarray:
    """The embeddings of SENTENCES, computed one by one without ONNX."""
    weights = read_safetensors(folder / "model.safetensors")
    return np.stack([embed(weights, np.array(tokenizer.encode(sentence))) for sentence in SENTENCES])


@pytest.fixture
def stored(client: redis.Redis, model: bytes) -> redis.Redis:
    """The client of a server that holds the model under `minilm`."""
    store_onnx(client, "minilm", model)
    return client


def server_embeddings(client: redis.Redis, inputs: list[np.ndarray], key: str = "minilm") -> np.ndarray:
    (embeddings,) = run_model(client, key, inputs, 1)
    assert embeddings is not None
    return embeddings


@pytest.mark.one_server
def test_batch_equals_onnx_runtime(
    stored: redis.Redis, session: onnxruntime.InferenceSession, tokenizer: WordPiece
) -> None:
    inputs = tokenizer.batch(SENTENCES)
    (expected,) = session.run(None, dict(zip(INPUT_NAMES, inputs)))
    actual = server_embeddings(stored, inputs)
    assert actual.shape == (len(SENTENCES), 384)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=TOLERANCE)


@pytest.mark.one_server
def test_single_sentences_equal_onnx_runtime(
    stored: redis.Redis, session: onnxruntime.InferenceSession, tokenizer: WordPiece
) -> None:
    for sentence in SENTENCES:
        inputs = tokenizer.batch([sentence])
        (expected,) = session.run(None, dict(zip(INPUT_NAMES, inputs)))
        np.testing.assert_allclose(server_embeddings(stored, inputs), expected, rtol=0, atol=TOLERANCE)


@pytest.mark.one_server
def test_embeddings_equal_plain_numpy(stored: redis.Redis, tokenizer: WordPiece, plain_embeddings: np.ndarray) -> None:
    actual = server_embeddings(stored, tokenizer.batch(SENTENCES))
    np.testing.assert_allclose(actual, plain_embeddings, rtol=0, atol=TOLERANCE)


@pytest.mark.one_server
def test_distances_are_the_published_ones(stored: redis.Redis, tokenizer: WordPiece) -> None:
    vectors = server_embeddings(stored, tokenizer.batch(PUBLISHED_SENTENCES))
    manhattan = np.abs(vectors[:, None] - vectors[None]).sum(axis=-1)
    np.testing.assert_allclose(vectors @ vectors.T, PUBLISHED_COSINE, rtol=0, atol=6e-5)
    np.testing.assert_allclose(manhattan, PUBLISHED_MANHATTAN, rtol=0, atol=6e-5)


def test_modelget_returns_the_bytes(stored: redis.Redis, model: bytes) -> None:
    assert len(model) > 90_000_000
    assert stored.execute_command("AI.MODELGET", "minilm", "BLOB") == model


def test_memory_usage_counts_the_model(stored: redis.Redis, model: bytes) -> None:
    assert stored.memory_usage("minilm") >= len(model)


def test_dump_and_restore(stored: redis.Redis, model: bytes, tokenizer: WordPiece) -> None:
    inputs = tokenizer.batch(SENTENCES)
    before = server_embeddings(stored, inputs)
    stored.restore("copy", 0, stored.dump("minilm"))
    stored.delete("minilm")
    np.testing.assert_allclose(server_embeddings(stored, inputs, "copy"), before, rtol=0, atol=TOLERANCE)
    assert stored.execute_command("AI.MODELGET", "copy", "BLOB") == model


def test_restart(server: Server, stored: redis.Redis, model: bytes, tokenizer: WordPiece) -> None:
    inputs = tokenizer.batch(SENTENCES)
    before = server_embeddings(stored, inputs)
    server.restart()
    client = server.client()
    np.testing.assert_allclose(server_embeddings(client, inputs), before, rtol=0, atol=TOLERANCE)
    assert client.execute_command("AI.MODELGET", "minilm", "BLOB") == model
