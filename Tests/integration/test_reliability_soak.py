"""Everything at once, and what it leaves in memory: the short form of `make soak`."""

from __future__ import annotations

import secrets
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from reliability.engine_models import ENGINES, FORMATS  # noqa: E402
from reliability.engines import MODULE_ARGS  # noqa: E402
from reliability.soak import Sample, Soak, soak  # noqa: E402

SECONDS = 30
RATE = 60.0


@pytest.mark.one_server
@pytest.mark.timeout(240)
def test_everything_at_once(start_server):
    """Every answer is right, every wrong command gets its error, and nothing grows out of bounds."""
    seed = secrets.token_hex(4)
    server = start_server(*MODULE_ARGS)
    result = soak(server, list(ENGINES.values()), seed, SECONDS, RATE, sample_seconds=0.5, save_seconds=SECONDS / 4)
    assert not result.problems, "\n".join([f"seed {seed}", *result.problems])
    used = {name.split()[-1] for name in result.findings.operations}
    assert used >= {"dag", "batched", "sizes", "wrong", "transaction", "lua", "moved", "fraud"}, used
    formats = {name.split()[0] for name in result.findings.operations}
    assert formats >= set(FORMATS), formats
    assert result.findings.errors and result.saves


def _sample(second: float, rss: int, descriptors: int = 20, used_memory: int = 10**6) -> Sample:
    return Sample(second, rss, used_memory, rss // 2, rss // 2, 0, 20, descriptors, 100, 10)


def _hour(**rises: int) -> Soak:
    """An hour of samples whose values rise by so much; after ten minutes of warm-up that rise faster."""
    result = Soak(warm_up_seconds=600)
    for number in range(720):
        second = number * 5.0
        swing = 3_000_000 * (number % 7)
        warm_up = min(0, number - 120) * 10**6
        rss = 600_000_000 + swing + warm_up + rises.get("rss", 0) * number // 720
        used_memory = 10**6 + rises.get("used_memory", 0) * number // 720
        result.samples.append(_sample(second, rss, 20 + rises.get("descriptors", 0) * number // 720, used_memory))
    return result


def test_what_is_flat_passes():
    """A test of the test: the warm-up, and a swing of 18 MB, are no growth."""
    assert _hour().growth() == []
    assert _hour(rss=4_000_000).growth() == []


@pytest.mark.parametrize("rise", [{"rss": 9_000_000}, {"used_memory": 9_000_000}, {"descriptors": 20}])
def test_growth_is_noticed(rise):
    """A test of the test: 1.5 % in an hour."""
    assert len(_hour(**rise).growth()) == 1


def test_too_little_is_no_proof():
    assert Soak(warm_up_seconds=0, samples=[_sample(1.0, 10**8)]).growth()
