"""How long others wait while large models are saved, rewritten, copied to a replica, restored and deleted: the short form of
``make stall-files``.

As in test_reliability_stall.py the time without a processor is left out, and the bound is generous: it catches a main thread
that copies or frees what others should.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from reliability import stall_files  # noqa: E402
from reliability.latency import Ping  # noqa: E402
from reliability.stall import Phase  # noqa: E402

COUNT = 3
SIZE = 10 * 10**6
BOUND_MS = 100.0
# What the server does itself, byte by byte.
SERVERS_OWN_MS = {"DUMP": 500.0, "RESTORE": 200.0, "DEBUG DIGEST-VALUE": 200.0}
PAUSE = 0.3


@pytest.mark.alone
def test_pings_while_models_are_saved_and_read(start_server):
    server = start_server(*stall_files.MODULE_ARGS, config=stall_files.CONFIG)
    stall_files.fill(server, True, COUNT, SIZE)
    series = stall_files.measure_job(server, stall_files.together, True, COUNT, pause=PAUSE)
    longest = series.longest()
    assert {"BGSAVE", "BGREWRITEAOF", "MODELGET/GET", "RESTORE", "UNLINK", "FLUSHALL ASYNC"} <= set(longest)
    for name, (_, net, _) in longest.items():
        assert net <= series.fork + BOUND_MS + SERVERS_OWN_MS.get(name, 0), (name, series.fork, longest)


def test_a_stall_of_the_module_is_a_miss():
    """A test of the test: what models take on top of strings and of the fork is counted, and nothing else."""

    def series(milliseconds, fork=0.0):
        phase = Phase("BGSAVE", 0, 10**9)
        return stall_files.Series([Ping(5, 5 + int(milliseconds * 1e6), 0)], [phase], fork)

    for strings, models, fork, missed in ((1, 30, 0, 1), (1, 30, 25, 0), (25, 40, 0, 0), (1, 15, 0, 0), (0, 90, 50, 1)):
        report = stall_files.Report("redis7", {False: [series(strings)], True: [series(models, fork)]})
        assert len(report.missed()) == missed, (strings, models, fork)
