"""Tests in several processes at once (`pytest --numprocesses`): who runs what, and what runs alone.

A process gets all tests of a file on one kind of server, so that there are no more servers than without processes.
Tests with the mark `alone` wait until no other process runs one, and keep them from beginning one.
"""

from __future__ import annotations

import fcntl
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

import pytest
from xdist.scheduler import LoadScopeScheduling

from support.server import kinds_from_environment
from support.workshop import workshop

# A test that starts servers of its own lasts about as long as this many others.
OWN_SERVERS = 20


def share_of(nodeid: str) -> tuple[str, str]:
    """The test's file and kind of server, which are the same for all tests of one process's share."""
    file, _, name = nodeid.partition("::")
    kinds = "|".join(re.escape(kind.name) for kind in kinds_from_environment())
    match = re.search(rf"[\[-]({kinds})[-\]]", name)
    return file, match[1] if match else ""


class Shares(LoadScopeScheduling):
    """Hands the shares out in the order of the collection."""

    def __init__(self, config: pytest.Config, log: object) -> None:
        super().__init__(config, log)
        config.option.loadscopereorder = False

    def _split_scope(self, nodeid: str) -> str:
        return " on ".join(share_of(nodeid))


def in_order_of_shares(items: list[pytest.Item]) -> list[pytest.Item]:
    """Long shares first, so that all processes end together, and last those of tests that run alone.

    The same file on another kind of server comes much later: what makes its models has long finished then.
    """
    kinds = ["", *(kind.name for kind in kinds_from_environment())]
    shares: dict[tuple[str, str], list[pytest.Item]] = {}
    for item in items:
        shares.setdefault(share_of(item.nodeid), []).append(item)
    files = sorted({file for file, _ in shares})

    def rank(share: tuple[str, str]) -> tuple[bool, int, int, tuple[str, str]]:
        file, kind = share
        tests = shares[share]
        round_number = (kinds.index(kind) + files.index(file)) % max(1, len(kinds) - 1)
        return all(runs_alone(test) for test in tests), round_number, -weight(tests), share

    return [item for share in sorted(shares, key=rank) for item in shares[share]]


def weight(items: list[pytest.Item]) -> int:
    """How long the tests last, roughly."""
    return sum(OWN_SERVERS if "start_server" in getattr(item, "fixturenames", ()) else 1 for item in items)


def runs_alone(item: pytest.Item) -> bool:
    return item.get_closest_marker("alone") is not None


@contextmanager
def turn(item: pytest.Item) -> Iterator[None]:
    """The time in which the test may run: many at once, or one alone.

    Everybody passes the gate one by one. Who runs alone keeps it shut until the others have left the hall.
    """
    how = fcntl.LOCK_EX if runs_alone(item) else fcntl.LOCK_SH
    with (workshop() / "gate").open("w") as gate, (workshop() / "hall").open("w") as hall:
        fcntl.flock(gate, fcntl.LOCK_EX)
        fcntl.flock(hall, how)
        fcntl.flock(gate, fcntl.LOCK_UN)
        yield
