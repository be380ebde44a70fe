"""Magika, Google's file-type model, on real files: the server's answers are those of the magika package.

Compared is the network's own answer (`prediction.dl` and its score), not the label the package reports after its
thresholds and overwrite rules, which have nothing to do with the server.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import redis
from magika import Magika
from support.file_samples import REPOSITORY, make_samples
from support.server import Server
from support.tensors import run_model, store_onnx

EXAMPLES = REPOSITORY / "examples"
sys.path.insert(0, str(EXAMPLES))

from magika_features import MagikaConfig, best_label, file_features  # noqa: E402

TOLERANCE = 1e-5
MINIMUM_FILES, MINIMUM_LABELS = 60, 25
BATCH = 32


@dataclass(frozen=True)
class Expected:
    """A file and what the magika package says about it."""

    path: Path
    label: str
    score: float


@pytest.fixture(scope="session")
def magika_folder() -> Path:
    """The folder with model.onnx and config.min.json."""
    folder = os.environ.get("REDISAI_MAGIKA")
    if not folder:
        pytest.fail("set REDISAI_MAGIKA to the folder with Magika's model.onnx; 'make test' does")
    return Path(folder)


@pytest.fixture(scope="session")
def config(magika_folder: Path) -> MagikaConfig:
    return MagikaConfig.load(magika_folder / "config.min.json")


@pytest.fixture(scope="session")
def expected(magika_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Expected]:
    """The answers of the package's Python API, for files that its network looks at."""
    magika = Magika(model_dir=magika_folder)
    paths = make_samples(tmp_path_factory.mktemp("files") / "samples")
    results = [magika.identify_path(path).prediction for path in paths]
    assert all(result.dl.label != "undefined" for result in results)
    return [Expected(path, str(result.dl.label), result.score) for path, result in zip(paths, results)]


@pytest.mark.one_server
def test_labels_and_scores_equal_the_package(
    client: redis.Redis, magika_folder: Path, config: MagikaConfig, expected: list[Expected]
) -> None:
    store_onnx(client, "magika", (magika_folder / "model.onnx").read_bytes())
    for file in expected:
        (scores,) = run_model(client, "magika", [file_features(file.path, config)], 1)
        label, score = best_label(scores, config)
        assert label == file.label, file.path
        assert abs(score - file.score) <= TOLERANCE, file.path
    assert len({file.path for file in expected}) >= MINIMUM_FILES
    assert len({file.label for file in expected}) >= MINIMUM_LABELS


@pytest.mark.one_server
def test_many_files_in_one_batch(
    client: redis.Redis, magika_folder: Path, config: MagikaConfig, expected: list[Expected]
) -> None:
    """Scores are compared with the same batch in ONNX Runtime: its rounding depends on the size of the batch."""
    model = (magika_folder / "model.onnx").read_bytes()
    files = expected[:BATCH]
    features = np.concatenate([file_features(file.path, config) for file in files])
    (reference,) = onnxruntime.InferenceSession(model).run(None, {"bytes": features})
    store_onnx(client, "magika", model)
    (scores,) = run_model(client, "magika", [features], 1)
    assert scores.shape == (BATCH, len(config.labels))
    np.testing.assert_allclose(scores, reference, rtol=0, atol=TOLERANCE)
    assert [best_label(row, config)[0] for row in scores] == [file.label for file in files]


def test_example_prints_the_labels(server: Server, magika_folder: Path, expected: list[Expected]) -> None:
    files = [file for file in expected if file.path.name in ("ring.c", "gradient.png", "texts.tar", "shop.sqlite")]
    result = run_example(server.port, magika_folder, *(str(file.path) for file in files), "/nonexistent")
    assert result.returncode == 0, result.stderr
    header, *rows = result.stdout.split("\n\n")[0].splitlines()
    assert header.split() == ["file", "label", "score", "latency"]
    assert [row.split()[:3] for row in rows[:-1]] == [[str(f.path), f.label, f"{f.score:.4f}"] for f in files]
    assert rows[-1].split(maxsplit=1) == ["/nonexistent", "(no such file or directory)"]
    assert f"redis-cli -p {server.port} AI.MODELGET magika META" in result.stdout


def test_example_explains_what_is_wrong(server: Server, magika_folder: Path, tmp_path: Path) -> None:
    broken = tmp_path / "model.onnx"
    broken.write_bytes(b"no model at all")
    refused = run_example(server.port, magika_folder, __file__, "--model", str(broken))
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "the server refused the model: " in refused.stderr
    missing = run_example(server.port, magika_folder, __file__, "--model", str(tmp_path / "nothing"))
    assert (missing.returncode, missing.stdout) == (2, "")
    assert "no such file or directory" in missing.stderr


def test_example_explains_a_server_it_cannot_use(
    start_server: Callable[..., Server], magika_folder: Path, unused_port: int
) -> None:
    nobody = run_example(unused_port, magika_folder, __file__, "--wait", "0.2")
    assert nobody.returncode == 2
    assert f"no server answers at 127.0.0.1:{unused_port}" in nobody.stderr
    plain = run_example(start_server(module=None).port, magika_folder, __file__)
    assert plain.returncode == 2
    assert "this server has no AI commands" in plain.stderr


@pytest.fixture
def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def run_example(port: int, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """The example as a user runs it; later options win over the first ones."""
    command = [sys.executable, str(EXAMPLES / "classify_files.py"), "--port", str(port)]
    command += ["--model", str(folder / "model.onnx"), "--config", str(folder / "config.min.json")]
    return subprocess.run([*command, *words], check=False, capture_output=True, text=True, timeout=60)
