"""The forward pass of all-MiniLM-L6-v2 in plain numpy, in double precision: what the exported graph is compared with.

Written separately from the export and loop by loop (sentence, layer, head), so that a mistake in one is not in both.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.special import erf

LAYERS, HEADS, EPSILON = 6, 12, 1e-12


def embed(weights: Mapping[str, np.ndarray], token_ids: np.ndarray) -> np.ndarray:
    """The embedding of one sentence without padding: token numbers [n] to a unit vector [384]."""
    state = (
        weights["embeddings.word_embeddings.weight"][token_ids].astype(np.float64)
        + weights["embeddings.position_embeddings.weight"][: len(token_ids)]
        + weights["embeddings.token_type_embeddings.weight"][0]
    )
    state = normalise(state, weights, "embeddings.LayerNorm")
    for layer in range(LAYERS):
        state = encode(state, weights, f"encoder.layer.{layer}.")
    mean = state.mean(axis=0)
    return mean / np.linalg.norm(mean)


def encode(state: np.ndarray, weights: Mapping[str, np.ndarray], layer: str) -> np.ndarray:
    """One transformer layer: self-attention, then two dense layers, each with a residual connection."""
    attended = dense(attend(state, weights, layer + "attention.self."), weights, layer + "attention.output.dense")
    state = normalise(state + attended, weights, layer + "attention.output.LayerNorm")
    inner = dense(state, weights, layer + "intermediate.dense")
    gelu = 0.5 * inner * (1 + erf(inner / np.sqrt(2)))
    return normalise(state + dense(gelu, weights, layer + "output.dense"), weights, layer + "output.LayerNorm")


def attend(state: np.ndarray, weights: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    """Scaled dot-product attention, head after head, their results side by side."""
    query, key, value = (
        np.split(dense(state, weights, name + part), HEADS, axis=1) for part in ("query", "key", "value")
    )
    contexts = []
    for q, k, v in zip(query, key, value):
        scores = q @ k.T / np.sqrt(q.shape[1])
        shares = np.exp(scores - scores.max(axis=1, keepdims=True))
        contexts.append(shares / shares.sum(axis=1, keepdims=True) @ v)
    return np.concatenate(contexts, axis=1)


def dense(state: np.ndarray, weights: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    return state @ weights[name + ".weight"].T.astype(np.float64) + weights[name + ".bias"]


def normalise(state: np.ndarray, weights: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    centred = state - state.mean(axis=1, keepdims=True)
    scaled = centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + EPSILON)
    return scaled * weights[name + ".weight"] + weights[name + ".bias"]
