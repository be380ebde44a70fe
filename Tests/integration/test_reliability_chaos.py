"""Servers that are killed, stopped and robbed of disk and network under load: short form of `make chaos`."""

from __future__ import annotations

import secrets
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from reliability.chaos import Chaos  # noqa: E402
from reliability.chaos_clients import Load  # noqa: E402
from support.resp import OK  # noqa: E402

LIMIT_SECONDS = 240
FAULTS = {
    "aof": ("kill", "full-disk", "killed-save", "cut-transfer", "kill-rewrite"),
    "rdb": ("kill", "terminate", "freeze"),
}


@pytest.mark.alone
@pytest.mark.timeout(LIMIT_SECONDS)
@pytest.mark.parametrize("mode", FAULTS)
def test_what_was_acknowledged_is_there(server_kind, mode):
    """With an append-only file all of it; with a data file what that was made of. A replica holds the same."""
    chaos = Chaos(server_kind, mode, secrets.token_hex(4), frozenset(["onnx"]))
    load = chaos.run(FAULTS[mode], len(FAULTS[mode]))
    assert not chaos.problems, "\n".join([f"seed {chaos.seed}", *chaos.problems])
    assert chaos.rounds == len(FAULTS[mode])
    assert {"AI.TENSORSET", "AI.MODELSTORE", "AI.MODELEXECUTE", "AI.DAGEXECUTE"} <= set(load.tally), load.tally


@pytest.mark.one_server
def test_what_has_been_lost_is_noticed(start_server):
    """A test of the test: a write that is gone, one that nobody has made, and a key that is nobody's."""
    server = start_server()
    load = Load("test", frozenset(["onnx"]), clients=3)
    load.start(server)
    while load.tally.total() < 300 and not load.problems:
        time.sleep(0.01)
    load.end()
    load.check(server)
    assert not load.problems
    lost, changed = (ledger.key(next(iter(ledger.possible[0]))) for ledger in load.ledgers[:2])
    with server.raw() as raw:
        assert raw.call("DEL", lost) == 1
        assert raw.call("SET", changed, "something else") == OK
        assert raw.call("SET", "nobody's", "text") == OK
    load.check(server)
    assert len(load.problems) == 3, load.problems
    assert f"{lost}: nothing" in load.problems[0] and changed in load.problems[1] and "nobody's" in load.problems[2]
