"""A cluster whose slots move under load, and which then loses a primary: the short form of `make cluster`."""

from __future__ import annotations

import secrets
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from reliability.cluster import run  # noqa: E402

SECONDS = 4
OPERATIONS = {"set", "get", "execute", "execute_batched", "execute_loop", "dag", "dag_of_reads", "script"}


@pytest.mark.alone
@pytest.mark.timeout(240)
def test_slots_move_and_a_primary_dies(server_kind, module_path):
    """Clients find what they have stored, wherever it has gone to, and see no errors but those that redis-py handles."""
    seed = secrets.token_hex(4)
    findings = run(server_kind, module_path, seed, SECONDS, clients=16, slots_per_shard=2)
    assert not findings.problems, "\n".join([f"seed {seed}", *findings.problems])
    assert findings.clients.tally.keys() >= OPERATIONS, findings.clients.tally
    assert findings.moves > 10 and findings.errors["MOVED"] > 10, findings
