"""Reference section 6.8: the time of queued commands reaches SLOWLOG and LATENCY."""

import time

import pytest

from support.commands import stats
from support.long_runs import loop_command, store_loop
from support.resp import OK

# The server adds the time of the call to the time the client was blocked. The two overlap while the main thread, after
# handing the request over, waits for a core to return from the call; on a busy machine that shows.
PREEMPTED_MICROSECONDS = 10_000


@pytest.mark.alone
def test_slowlog_holds_the_command_with_its_time(raw):
    store_loop(raw)
    raw.call("CONFIG", "SET", "slowlog-log-slower-than", 10_000)
    raw.call("SLOWLOG", "RESET")
    command = loop_command()
    command[0] = "ai.ModelExecute"
    started = time.monotonic()
    assert raw.call(*command) == OK
    waited = (time.monotonic() - started) * 1e6

    entries = [entry for entry in raw.call("SLOWLOG", "GET", 20) if entry[3][0].lower() == b"ai.modelexecute"]
    assert len(entries) == 1
    [entry] = entries
    duration, argv = entry[2], entry[3]
    assert argv == [str(word).encode() for word in command]
    assert stats(raw, "loop")["duration"] <= duration <= waited + PREEMPTED_MICROSECONDS


def test_command_statistics_hold_the_time(raw):
    store_loop(raw)
    assert raw.call("CONFIG", "RESETSTAT") == OK
    assert raw.call(*loop_command()) == OK
    text = raw.call("INFO", "commandstats").decode()
    [line] = [line for line in text.split("\r\n") if line.startswith("cmdstat_ai.modelexecute:")]
    fields = dict(field.split("=") for field in line.partition(":")[2].split(","))
    assert fields["calls"] == "1"
    assert int(fields["usec"]) >= stats(raw, "loop")["duration"]
