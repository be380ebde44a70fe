"""Random DAGs give what an interpreter of their own says: the short form of ``make dags``."""

from __future__ import annotations

import secrets
import sys
from pathlib import Path

import pytest
from support.resp import OK, Error

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from reliability.dag_interpreter import NA, Interpretation, WrongReply, judge  # noqa: E402
from reliability.dag_models import RunFails  # noqa: E402
from reliability.dag_parser import parse  # noqa: E402
from reliability.dags import MODULE_ARGS, run_dags  # noqa: E402
from reliability.engine_models import ENGINES  # noqa: E402
from reliability.keyspace import TensorValue  # noqa: E402

GRAPHS = 2_000
# Making the models, which is done once, comes on top.
LIMIT_SECONDS = 240
FAILURE = Error("Failed to run")


@pytest.mark.timeout(LIMIT_SECONDS)
def test_every_reply_is_possible(start_server):
    seed = secrets.token_hex(4)
    result = run_dags(start_server(*MODULE_ARGS), list(ENGINES.values()), seed, GRAPHS)
    assert not result.problems, "\n".join([f"seed {seed}", *result.problems])
    assert min(result.graphs[name] for name in ("ran", "failed", "refused")) > GRAPHS / 50, result.graphs
    assert result.persisted > GRAPHS / 5


def failing_graph() -> Interpretation:
    """The first operation fails on one device, the second works on another, and both results are shown."""
    words = b"AI.DAGRUN |> AI.TENSORSET x FLOAT 1 VALUES 1 |> AI.MODELRUN add@CPU:1 INPUTS x OUTPUTS a |> "
    words += b"AI.MODELRUN add@CPU:2 INPUTS x OUTPUTS b |> AI.TENSORGET a BLOB |> AI.TENSORGET b BLOB"
    one, two = (TensorValue(b"FLOAT", (1,), blob) for blob in (b"\0\0\x80\x3f", b"\0\0\0\x40"))
    return Interpretation(parse(words.split(), {}), [[one], RunFails(), [two], None, []], {})


@pytest.mark.parametrize("reply", [[OK, FAILURE, OK, NA, b"\0\0\0\x40"], [OK, FAILURE, NA, NA, NA]])
def test_what_ran_on_another_device_is_open(reply):
    judge(failing_graph(), reply)


@pytest.mark.parametrize(
    "reply",
    [
        [OK, OK, OK, NA, b"\0\0\0\x40"],
        [OK, NA, NA, NA, NA],
        [OK, NA, OK, NA, b"\0\0\0\x40"],
        [NA, FAILURE, NA, NA, NA],
        [OK, FAILURE, OK, NA, NA],
        [OK, FAILURE, NA, NA, b"\0\0\0\x40"],
        [OK, FAILURE, OK, NA, b"\0\0\0\x41"],
        [OK, FAILURE, FAILURE, NA, NA],
        [OK, FAILURE, OK, NA],
        FAILURE,
    ],
)
def test_the_judge_notices_a_wrong_reply(reply):
    """A test of the test."""
    with pytest.raises(WrongReply):
        judge(failing_graph(), reply)
