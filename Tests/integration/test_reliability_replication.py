"""A primary and two replicas under load, two full copies and a failover: short form of `make replication`."""

from __future__ import annotations

import secrets
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from reliability.replication import Replication  # noqa: E402

COUNT = 8_000
LIMIT_SECONDS = 240


@pytest.mark.alone
@pytest.mark.timeout(LIMIT_SECONDS)
def test_all_hold_the_same_and_no_replica_ran_a_model(server_kind):
    replication = Replication(server_kind, secrets.token_hex(4), frozenset(["onnx"]))
    replication.run(COUNT)
    assert not replication.problems, "\n".join([f"seed {replication.seed}", *replication.problems])
    tally = replication.result.tally
    assert sum(tally.values()) >= COUNT * 0.9 and replication.full_copies == 2
    assert {"AI.TENSORSET", "AI.MODELSTORE", "AI.MODELEXECUTE", "AI.DAGEXECUTE", "COPY", "EXEC"} <= set(tally), tally
