"""Answers of batched runs are those to each request alone: the short form of ``make batching``."""

from __future__ import annotations

import secrets
import sys
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from support.commands import NO_TENSOR
from support.resp import OK, TIMEDOUT, Error

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from reliability.batching import MODULE_ARGS, run_batching  # noqa: E402
from reliability.batching_models import Batching, Order, kinds_of  # noqa: E402
from reliability.batching_requests import Request, Stored, WrongAnswer  # noqa: E402
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


def request_for_rows(seed: int) -> Request:
    """A request for twice its input, as commands, without a time limit."""
    stored = Stored(kinds_of(["ONNX"])["rows:onnx"], Batching(4), Order((0,), (0,)))
    random, numbers = Random(seed), np.random.default_rng(seed)
    while True:
        request = Request(stored, random, numbers, "x")
        if request.form == "plain" and not request.timeout and request.rows == 2:
            return request


def replies_with(blob: bytes) -> list[Any]:
    return [OK, OK, [b"dtype", b"FLOAT", b"shape", [2, 3], b"blob", blob], 1]


def test_a_wrong_answer_is_noticed():
    """A test of the test."""
    one, two = request_for_rows(1), request_for_rows(2)
    blob = (one.expected[0] * np.float32(1 + 1e-7)).tobytes()
    assert one.judge(replies_with(blob)).name == "answered"
    crossed = replies_with(two.expected[0].tobytes())
    lost = [OK, OK, NO_TENSOR, 0]
    late = [OK, TIMEDOUT, NO_TENSOR, 0]
    failed_for_another = [OK, Error("Non-zero status code"), NO_TENSOR, 0]
    for replies in (crossed, lost, late, failed_for_another):
        with pytest.raises(WrongAnswer):
            one.judge(replies)
