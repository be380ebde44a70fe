#!/usr/bin/env python3
"""Tells what kind of file each argument is, with the Magika model running inside a RedisAI server.

    python examples/classify_files.py --port 6379 --model model.onnx --config config.min.json FILE...

Needs only redis-py and numpy here; the neural network runs in the server. The model and its configuration come with
the PyPI package `magika`, in the folder `magika/models/standard_v3_3`.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import redis

from magika_features import FeatureError, MagikaConfig, best_label, file_features


class ExampleError(Exception):
    """Anything that ends the program; the text is for the user."""


@dataclass(frozen=True)
class Row:
    """One line of the table; a file that was not classified has a note in place of a label."""

    path: str
    label: str
    score: float | None = None
    milliseconds: float | None = None


class MagikaModel:
    """The model in the server: one key for it, one for its input, one for its output, all in the same hash slot."""

    def __init__(self, client: redis.Redis, key: str, config: MagikaConfig) -> None:
        self.client = client
        self.config = config
        self.key = key
        self.input_key = f"{{{key}}}:bytes"
        self.output_key = f"{{{key}}}:scores"

    def store(self, model: bytes) -> None:
        """Stores the model, which replaces whatever model the key held before."""
        try:
            self.client.execute_command("AI.MODELSTORE", self.key, "ONNX", "CPU", "TAG", "magika", "BLOB", model)
        except redis.ResponseError as error:
            if "unknown command" in str(error).lower():
                raise ExampleError("this server has no AI commands: start it with --loadmodule redisai.so") from None
            raise ExampleError(f"the server refused the model: {error}") from None

    def classify(self, path: str) -> Row:
        """Runs one file through the model. The latency is that of AI.MODELEXECUTE, network included."""
        try:
            features = file_features(path, self.config)
        except (OSError, FeatureError) as error:
            return Row(path, f"({reason(error)})")
        self._set_input(features)
        started = time.perf_counter()
        self.client.execute_command(
            "AI.MODELEXECUTE", self.key, "INPUTS", 1, self.input_key, "OUTPUTS", 1, self.output_key
        )
        milliseconds = (time.perf_counter() - started) * 1000
        label, score = best_label(self._get_output(), self.config)
        return Row(path, label, score, milliseconds)

    def _set_input(self, features: np.ndarray) -> None:
        self.client.execute_command(
            "AI.TENSORSET", self.input_key, "INT32", *features.shape, "BLOB", features.astype("<i4").tobytes()
        )

    def _get_output(self) -> np.ndarray:
        scores = np.frombuffer(self.client.execute_command("AI.TENSORGET", self.output_key, "BLOB"), dtype="<f4")
        if len(scores) != len(self.config.labels):
            raise ExampleError(
                f"the model gives {len(scores)} scores, but --config has {len(self.config.labels)} labels"
            )
        return scores


def reason(error: OSError | FeatureError) -> str:
    """The error in a few words: the table already names the file."""
    return error.strerror.lower() if isinstance(error, OSError) and error.strerror else str(error)


def connect(host: str, port: int, seconds: float) -> redis.Redis:
    """A connection that answers PING; retries while the server is starting or loading its data."""
    client = redis.Redis(host=host, port=port)
    deadline = time.monotonic() + seconds
    while True:
        try:
            client.ping()
            return client
        except (redis.ConnectionError, redis.TimeoutError) as error:
            if time.monotonic() >= deadline:
                raise ExampleError(f"no server answers at {host}:{port}: {error}") from None
            time.sleep(0.1)


def read_model(path: Path) -> bytes:
    """The bytes of the model file, or an error that names the option to correct."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise ExampleError(f"--model {path}: {reason(error)}") from None


def read_config(path: Path) -> MagikaConfig:
    """The model's configuration, or an error that names the option to correct."""
    try:
        return MagikaConfig.load(path)
    except OSError as error:
        raise ExampleError(f"--config {path}: {reason(error)}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise ExampleError(f"--config {path} is no Magika configuration: {error}") from None


def table(rows: Sequence[Row]) -> Iterable[str]:
    """The result as aligned lines."""
    cells = [("file", "label", "score", "latency")]
    for row in rows:
        score = "" if row.score is None else f"{row.score:.4f}"
        latency = "" if row.milliseconds is None else f"{row.milliseconds:.2f} ms"
        cells.append((row.path, row.label, score, latency))
    file_width, label_width = (max(len(line[column]) for line in cells) for column in (0, 1))
    for file, label, score, latency in cells:
        yield f"{file:<{file_width}}  {label:<{label_width}}  {score:>6}  {latency:>9}".rstrip()


def next_steps(host: str, port: int, model: MagikaModel) -> Iterable[str]:
    """Commands that show what the server now holds; braces are quoted so that no shell reads them."""
    cli = "redis-cli" + ("" if host in ("127.0.0.1", "localhost") else f" -h {host}") + f" -p {port}"
    yield "Try next:"
    yield f"  {cli} AI.MODELGET {model.key} META"
    yield f"  {cli} AI.INFO {model.key}"
    yield f"  {cli} AI.TENSORGET '{model.output_key}' META"
    yield f"  {cli} INFO modules"


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Classify files with the Magika model inside a RedisAI server.")
    parser.add_argument("--host", default="127.0.0.1", help="the server's address (default: %(default)s)")
    parser.add_argument("--port", type=int, default=6379, help="the server's port (default: %(default)s)")
    parser.add_argument("--model", type=Path, required=True, help="Magika's model.onnx")
    parser.add_argument("--config", type=Path, required=True, help="Magika's config.min.json")
    parser.add_argument("--key", default="magika", help="the key that will hold the model (default: %(default)s)")
    parser.add_argument("--wait", type=float, default=10, help="seconds to wait for the server (default: %(default)s)")
    parser.add_argument("files", nargs="+", metavar="FILE", help="the files to classify")
    return parser.parse_args(arguments)


def run(options: argparse.Namespace) -> int:
    """The whole example. The exit status is 1 when no file at all could be classified."""
    config, blob = read_config(options.config), read_model(options.model)
    client = connect(options.host, options.port, options.wait)
    model = MagikaModel(client, options.key, config)
    model.store(blob)
    rows = [model.classify(path) for path in options.files]
    print(*table(rows), "", *next_steps(options.host, options.port, model), sep="\n")
    return 0 if any(row.score is not None for row in rows) else 1


def main(arguments: Sequence[str] | None = None) -> int:
    try:
        return run(parse_arguments(arguments))
    except (ExampleError, redis.RedisError) as error:
        print(f"classify_files: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
