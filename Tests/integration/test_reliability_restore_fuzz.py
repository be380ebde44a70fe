"""Damaged payloads of RESTORE: the short form of ``make fuzz-restore``.

The seed is a new one each time; a failure names it, and REDISAI_FUZZ_SEED repeats it.
"""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path

import pytest
from support import dump
from support.resp import OK, Error

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from reliability import restore_fuzz  # noqa: E402
from reliability.processes import footprint_when_empty  # noqa: E402
from reliability.restore_mutations import Payloads  # noqa: E402
from reliability.restore_oracle import TYPES, expected  # noqa: E402

WARM_UP = 400
COUNT = 4_000
"""Payloads per type."""
BUILT = 20


def test_the_oracle_knows_good_from_bad():
    """A test of the test: of a thousand payloads many can be read and many cannot; one in ten is as it should be."""
    payloads = Payloads("oracle")
    for type_name in TYPES:
        read = sum(expected(dump.seal(payloads.body(type_name, number))) is not None for number in range(0, 1000, 10))
        assert read == 100
        damaged = [number for number in range(300) if number % 10]
        read = sum(_is_readable(payloads.body(type_name, number)) for number in damaged)
        assert len(damaged) // 20 < read < len(damaged) // 2


def _is_readable(body: bytes) -> bool:
    try:
        return expected(dump.seal(body)) is not None
    except restore_fuzz.Undecided:
        return False


@pytest.mark.parametrize("reply", [OK, Error("ERR Bad data format")])
def test_a_wrong_answer_is_noticed(reply):
    """A test of the test: whatever a server answers to both, one of the answers is a finding."""
    campaign = restore_fuzz.Campaign(None, "seed", restore_fuzz.Tally())
    good, bad = (dump.seal(dump.encode("AI_TENSOR", 4, values)[:-10]) for values in ([0, 8, 0, b"A"], [0, 8, 0, b""]))
    tensor = [[b"dtype", b"INT8", b"shape", [], b"blob", b"A"], [65]]
    read = [*tensor, good, [b"digest"], 1] if reply == OK else [reply, reply, None, [], 0]
    complaints = [campaign._complaint("AI_TENSOR", payload, [reply, *read]) for payload in (good, bad)]
    assert [bool(complaint) for complaint in complaints] == [reply != OK, reply == OK]


def test_payloads(start_server):
    """Every payload is refused, or read as the layout says; the server lives, and its memory is what it was."""
    seed = os.environ.get("REDISAI_FUZZ_SEED") or secrets.token_hex(4)
    server = start_server(*restore_fuzz.NO_ENGINES)
    tally = restore_fuzz.Tally()
    campaign = restore_fuzz.Campaign(server, seed, tally)
    troubles = [campaign.run(type_name, 0, WARM_UP) for type_name in TYPES]
    before = footprint_when_empty(server)
    troubles += [campaign.run(type_name, WARM_UP, COUNT) for type_name in TYPES]
    after = footprint_when_empty(server)
    assert not any(troubles), (seed, troubles)
    assert not tally.findings, "\n".join([f"seed {seed}", *tally.findings])
    assert min(tally.outcomes["restored"], tally.outcomes["refused"]) > COUNT // 2, tally.outcomes
    assert after.used_memory < before.used_memory + restore_fuzz.USED_MEMORY_TOLERANCE_BYTES, f"seed {seed}: {before} {after}"


def test_payloads_that_are_built(start_server):
    """With engines: models and scripts are tried out, are broken as a rule, and leave nothing."""
    seed = os.environ.get("REDISAI_FUZZ_SEED") or secrets.token_hex(4)
    server = start_server()
    tally = restore_fuzz.Tally()
    campaign = restore_fuzz.Campaign(server, seed, tally, is_built=True)
    assert not any([campaign.run(type_name, 0, BUILT) for type_name in TYPES]), seed
    assert not tally.findings, "\n".join([f"seed {seed}", *tally.findings])
