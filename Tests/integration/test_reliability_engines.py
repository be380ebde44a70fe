"""All engines and scripts at once, models that come and go: short forms of `make hammer-engines` and `make leaks`."""

from __future__ import annotations

import secrets
import sys
from collections import Counter
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from reliability.engine_models import ENGINES, FORMATS  # noqa: E402
from reliability.engines import MODULE_ARGS, Hammering, excess_threads, hammer_engines  # noqa: E402
from reliability.leaks import SCRIPT, Leakage, measure  # noqa: E402
from reliability.processes import Footprint  # noqa: E402

SECONDS = 6
CLIENTS = 16
# Those of the SavedModel take longest.
ROUNDS = dict.fromkeys((*FORMATS, SCRIPT), 40) | {"saved_model": 15}
# Making the models, which is done once, and waiting for what clients have begun come on top.
LIMIT_SECONDS = 240


@pytest.mark.alone
@pytest.mark.timeout(LIMIT_SECONDS)
def test_all_engines_at_once(start_server):
    """Every answer is right, and there are no threads but those that the configuration explains."""
    seed = secrets.token_hex(4)
    result = hammer_engines(
        start_server(*MODULE_ARGS, "MODEL_CHECK", "NO"), list(ENGINES.values()), seed, SECONDS, CLIENTS
    )
    assert not result.problems, "\n".join([f"seed {seed}", *result.problems])
    used = {name.split()[0] for name in result.findings.operations}
    assert used >= {*FORMATS, SCRIPT, *(f"script>{name}" for name in FORMATS)}, used
    assert result.findings.operations.total() > 300, result.findings.operations


@pytest.mark.timeout(LIMIT_SECONDS)
@pytest.mark.parametrize("name", ROUNDS)
def test_nothing_is_left_of_models_that_came_and_went(server_kind, module_path, name):
    leakage = measure(server_kind, module_path, name, ROUNDS[name], checked=False)
    assert not leakage.problems(), leakage


def test_too_many_threads_are_noticed():
    """A test of the test."""
    before = Counter({"redis-server": 1, "bio_lazy_free": 1})
    result = Hammering(threads_before=before, threads=before + Counter({"ai-CPU": 2, "ai-loader": 2}))
    assert not excess_threads(result, ["ONNX"])
    result.threads["ai-ONNX"] = 20
    result.threads["of nobody"] = 1
    assert len(excess_threads(result, ["ONNX"])) == 2


def test_a_leak_is_noticed():
    """A test of the test: 100 KB per round, as if models were kept, and 0.1 MB of used_memory."""
    kept = Leakage("kept", 1000, [5e7 + 1e5 * number for number in range(1000)], [0.1], (1_000_000, 1_100_000))
    assert len(kept.problems()) == 2
    settled = Leakage("settled", 1000, [5e7 + number % 7 * 1e5 for number in range(1000)], [0.1], (10**6, 10**6))
    assert not settled.problems()


def test_growth_is_noticed():
    """A test of the test: 1 MB per second."""
    result = Hammering(samples=[(float(second), Footprint(10**8 + second * 10**6, 10**6, 20)) for second in range(300)])
    assert result.rss_slope() == pytest.approx(1e6)
    assert result.growth()
