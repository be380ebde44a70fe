"""Many clients at once, some of which leave in the middle: the short form of ``make hammer``."""

from __future__ import annotations

import secrets
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from reliability.hammer import hammer  # noqa: E402

SECONDS = 5


@pytest.mark.alone
def test_no_lost_or_crossed_answer(start_server):
    """Every client gets its own answers, and afterwards memory, threads and connections are what they were."""
    seed = secrets.token_hex(4)
    result = hammer(start_server(), seed, SECONDS)
    assert not result.problems, "\n".join([f"seed {seed}", *result.problems])
    assert len(result.tally) == 10 and result.tally.total() > 500, result.tally
