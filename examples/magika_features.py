"""Turns a file's bytes into the input of Magika, Google's file-type model, and its output into a label.

The model does not see the whole file. It sees the first and the last bytes, after white space at the very start and
end is stripped, one integer per byte; a file too short to fill a window is padded with a token that is no byte (256).
Everything that differs between versions of the model stands in its `config.min.json`, read by `MagikaConfig`.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np


class FeatureError(ValueError):
    """The file cannot be given to the model; the text says why."""


@dataclass(frozen=True)
class MagikaConfig:
    """The part of `config.min.json` that decides how features are made and outputs are read."""

    beg_size: int
    end_size: int
    block_size: int
    padding_token: int
    min_bytes: int
    labels: tuple[str, ...]

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> MagikaConfig:
        """Reads the file and refuses a model whose features would need more than the two windows."""
        raw = json.loads(Path(path).read_text(encoding="utf-8"))
        if raw.get("mid_size") or raw.get("use_inputs_at_offsets"):
            raise FeatureError(f"{path}: only models with a beginning and an end window are supported")
        return cls(
            beg_size=raw["beg_size"],
            end_size=raw["end_size"],
            block_size=raw["block_size"],
            padding_token=raw["padding_token"],
            min_bytes=raw["min_file_size_for_dl"],
            labels=tuple(raw["target_labels_space"]),
        )

    @property
    def feature_count(self) -> int:
        """How many integers the model takes for one file."""
        return self.beg_size + self.end_size


def file_features(path: str | os.PathLike[str], config: MagikaConfig) -> np.ndarray:
    """The model's input for one file: INT32 [1, features]. Reads at most two blocks, however large the file is."""
    with open(path, "rb") as file:
        head, tail = read_ends(file, config.block_size)
    return window_features(head, tail, config)


def read_ends(file: BinaryIO, block_size: int) -> tuple[bytes, bytes]:
    """The first and the last block of the file, each stripped on its outer side only; they overlap in a short file."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    head = file.read(block_size)
    file.seek(max(0, size - block_size))
    return head.lstrip(), file.read(block_size).rstrip()


def window_features(head: bytes, tail: bytes, config: MagikaConfig) -> np.ndarray:
    """Cuts the windows, pads them on the inner side and joins them to one row."""
    if len(head) < config.min_bytes:
        raise FeatureError(f"fewer than {config.min_bytes} bytes to look at")
    row = np.full((1, config.feature_count), config.padding_token, dtype=np.int32)
    head, tail = head[: config.beg_size], tail[-config.end_size :]
    row[0, : len(head)] = np.frombuffer(head, dtype=np.uint8)
    row[0, config.feature_count - len(tail) :] = np.frombuffer(tail, dtype=np.uint8)
    return row


def best_label(scores: np.ndarray, config: MagikaConfig) -> tuple[str, float]:
    """The label with the highest score of the model's output FLOAT [1, labels], and that score."""
    index = int(np.argmax(scores))
    return config.labels[index], float(scores.reshape(-1)[index])
