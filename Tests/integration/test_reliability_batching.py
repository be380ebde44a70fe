"""Answers of batched runs are those to each request alone: the short form of ``make batching``."""

from __future__ import annotations

import secrets
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from reliability.batching import MODULE_ARGS, run_batching  # noqa: E402
from reliability.batching_models import Batching  # noqa: E402
from reliability.engine_models import ENGINES  # noqa: E402

REQUESTS = 4_000
BATCHINGS = (Batching(4), Batching(32), Batching(16, 8, 5), Batching(8, 4))
# Making the models, which is done once, comes on top.
LIMIT_SECONDS = 240


@pytest.mark.timeout(LIMIT_SECONDS)
def test_every_answer_is_that_to_the_request_alone(start_server):
    seed = secrets.token_hex(4)
    result = run_batching(start_server(*MODULE_ARGS), list(ENGINES.values()), seed, REQUESTS, batchings=BATCHINGS)
    assert not result.problems, "\n".join([f"seed {seed}", *result.problems])
    assert result.together > 0
    assert result.outcomes.keys() >= {"answered", "refused", "timed out"}, result.outcomes
    assert result.outcomes["answered"] > REQUESTS / 2, result.outcomes
