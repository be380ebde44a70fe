"""Many clients at once, some of which leave or are killed: short forms of `make hammer` and `make hammer-commands`."""

from __future__ import annotations

import secrets
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from reliability.engine_models import ENGINES  # noqa: E402
from reliability.hammer import hammer  # noqa: E402
from reliability.hammer_commands import MODULE_ARGS, CommandHammering, Tally, hammer_commands, judge  # noqa: E402
from reliability.processes import Footprint  # noqa: E402

SECONDS = 5
# Making the models, which is done once, comes on top.
LIMIT_SECONDS = 240


@pytest.mark.alone
def test_no_lost_or_crossed_answer(start_server):
    """Every client gets its own answers, and afterwards memory, threads and connections are what they were."""
    seed = secrets.token_hex(4)
    result = hammer(start_server(), seed, SECONDS)
    assert not result.problems, "\n".join([f"seed {seed}", *result.problems])
    assert len(result.tally) == 10 and result.tally.total() > 500, result.tally


@pytest.mark.alone
@pytest.mark.timeout(LIMIT_SECONDS)
def test_all_commands_while_clients_are_killed(start_server):
    """Every request is answered, or its connection was cut on purpose; PING from outside is answered in time."""
    seed = secrets.token_hex(4)
    result = hammer_commands(start_server(*MODULE_ARGS), list(ENGINES.values()), seed, SECONDS)
    assert not result.problems, "\n".join([f"seed {seed}", *result.problems])
    answered = {name.removesuffix(" answered") for name in result.tally.operations if name.endswith(" answered")}
    assert answered >= {"AI.TENSORSET", "AI.MODELSTORE", "AI.MODELEXECUTE", "AI.DAGEXECUTE", "AI.DAGRUN_RO", "EXEC"}
    assert result.tally.kills > 0 and result.tally.operations["left in the middle"] > 0, result.tally.operations


def test_what_has_gone_wrong_is_noticed():
    """A test of the test: a connection that nobody cut, memory that does not come back, and nothing done at all."""
    footprints = [Footprint(10**8, 10**6, 20), Footprint(10**8, 2 * 10**6, 20)]
    assert len(judge(CommandHammering(tally=Tally(cuts=1), footprints=footprints))) == 3
