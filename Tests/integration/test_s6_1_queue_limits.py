"""Reference sections 6.1, 6.3 and 10.5 with what they leave open: full queues, requests that nobody waits for any more,
timeouts behind a busy worker, and what INFO tells about all that. These are limits of ours; RedisAI 1.x has none.
"""

from __future__ import annotations

import time

import numpy as np
import pytest

from support import onnx_models
from support.commands import execute, execute_command, get_tensor, set_tensor, stats, store_model, words
from support.gates import await_nobody_blocked, blocked_clients, held, hold_key, hold_operation, queue, queue_field
from support.resp import OK, TIMEDOUT, Error, Status
from support.scripts import entry_point, store_entry_points
from support.wait import eventually

REQUESTS, BYTES = 4, 100_000
# No run is short enough for the main thread: all of them wait in the queue.
MODULE_ARGS = (
    *("MAX_QUEUED_REQUESTS", str(REQUESTS), "MAX_QUEUED_BYTES", str(BYTES)),
    *("INLINE_EXECUTION_BUDGET", "0"),
)
KEPT_KEYS = ("m", "m1", "s", hold_key())
TOO_MANY = Error(f"ERR the queue of device CPU is full ({REQUESTS} requests)")
TOO_LARGE = Error(f"ERR the queue of device CPU is full ({BYTES} bytes)")
COUNTERS = ("refused_requests", "timed_out_requests", "cancelled_requests", "batches")
FIELDS = ("waiting_requests", "waiting_bytes", *COUNTERS)


@pytest.fixture(autouse=True)
def ready(server, raw):
    """``m`` adds 1 on CPU, ``m1`` on CPU:1; ``a`` has 4 bytes, ``large`` two fifths of what may wait."""
    for key, device in (("m", "CPU"), ("m1", "CPU:1")):
        if not raw.call("EXISTS", key):
            store_model(raw, key, onnx_models.add_constant(1), device=device)
        assert raw.call("AI.INFO", key, "RESETSTAT") == OK
    source = entry_point("log", 'redis.execute("RPUSH", keys[0], args[0])', "return torch.tensor([1])")
    store_entry_points(raw, "s", source)
    set_tensor(raw, "a", [1])
    set_tensor(raw, "large", np.zeros(10_000, dtype=np.float32))
    yield
    await_nobody_blocked(server)


@pytest.fixture
def counted(server):
    """What the counters of the device have gone up by since the test began."""
    before = {name: queue_field(server, name) for name in COUNTERS}
    return lambda: {name: queue_field(server, name) - count for name, count in before.items()}


def queue_and_leave(server, command, leave):
    """Queues a command behind what is held; its client leaves as ``leave`` does, and the server has noticed."""
    [leaving] = queue(server, words(command))
    before = blocked_clients(server)
    leave(leaving)
    eventually(lambda: blocked_clients(server) < before, "the client has gone")


def only(**counts):
    return dict.fromkeys(COUNTERS, 0) | counts


def test_info_has_the_fields(server, raw):
    """They stand behind those of RedisAI 1.x, in the section `queues`, for every device."""
    lines = raw.call("INFO", "modules").decode().split("\r\n")
    section = lines[lines.index("# ai_queues") + 1 :]
    for device in ("CPU", "CPU:1"):
        for name in FIELDS:
            assert any(line.startswith(f"ai_queue_{device}_{name}:") for line in section), (device, name)
    assert lines.index("# ai_queues") > lines.index("# ai_cpu")


class TestFullQueues:
    @pytest.mark.parametrize(
        "command, is_array",
        [
            ("AI.MODELEXECUTE m INPUTS 1 a OUTPUTS 1 y", False),
            ("AI.MODELRUN m INPUTS a OUTPUTS y", False),
            ("AI.SCRIPTEXECUTE s log KEYS 1 l ARGS 1 x", False),
            ("AI.SCRIPTRUN s log", False),
            ("AI.DAGEXECUTE LOAD 1 a PERSIST 1 y |> AI.MODELEXECUTE m INPUTS 1 a OUTPUTS 1 y", True),
            ("AI.DAGEXECUTE_RO LOAD 1 a |> AI.MODELEXECUTE m INPUTS 1 a OUTPUTS 1 y", True),
            ("AI.DAGRUN LOAD 1 a PERSIST 1 y |> AI.MODELRUN m INPUTS a OUTPUTS y", True),
        ],
    )
    def test_too_many_requests(self, server, raw, counted, command, is_array):
        with held(server) as release:
            waiting = queue(server, *[execute_command("m", ["a"], ["z"])] * REQUESTS)
            reply = raw.call(*words(command))
            assert reply == ([TOO_MANY] if is_array else TOO_MANY)
            assert queue_field(server, "waiting_requests") == REQUESTS
            # others are not affected
            assert raw.call("PING") == Status("PONG")
            assert execute(raw, "m1", ["a"], ["x"]) == OK
            release()
            assert [client.read() for client in waiting] == [OK] * REQUESTS
        assert counted() == only(refused_requests=1)
        assert raw.call("EXISTS", "y", "l") == 0
        assert stats(raw, "m")["calls"] == REQUESTS
        assert execute(raw, "m", ["a"], ["y"]) == OK

    def test_too_many_bytes(self, server, raw, counted):
        with held(server) as release:
            waiting = queue(server, *[execute_command("m", ["large"], ["z"])] * 2)
            assert queue_field(server, "waiting_bytes") == 80_000
            assert execute(raw, "m", ["large"], ["y"]) == TOO_LARGE
            # what is small enough is still taken
            waiting += queue(server, execute_command("m", ["a"], ["z"]))
            assert queue_field(server, "waiting_bytes") == 80_004
            release()
            assert [client.read() for client in waiting] == [OK] * 3
        assert counted() == only(refused_requests=1)
        assert (queue_field(server, "waiting_bytes"), raw.call("EXISTS", "y")) == (0, 0)

    def test_an_empty_queue_takes_any_request(self, server, raw):
        """Otherwise what is larger than the limit could never run."""
        set_tensor(raw, "huge", np.zeros(BYTES, dtype=np.float32))
        with held(server) as release:
            [first] = queue(server, execute_command("m", ["huge"], ["z"]))
            assert execute(raw, "m", ["a"], ["y"]) == TOO_LARGE
            release()
            assert first.read() == OK

    def test_a_dag_that_does_not_fit_writes_nothing(self, server, raw):
        """One of its devices would have had room."""
        command = (
            "AI.DAGEXECUTE LOAD 1 a PERSIST 2 x y |> AI.MODELEXECUTE m1 INPUTS 1 a OUTPUTS 1 x"
            " |> AI.MODELEXECUTE m INPUTS 1 a OUTPUTS 1 y |> AI.TENSORGET y"
        )
        with held(server) as release:
            waiting = queue(server, *[execute_command("m", ["a"], ["z"])] * REQUESTS)
            reply = raw.call(*words(command))
            release()
            assert [client.read() for client in waiting] == [OK] * REQUESTS
        assert reply[1:] == [TOO_MANY, Status("NA")] and reply[0] in (OK, Status("NA"))
        assert raw.call("EXISTS", "x", "y") == 0

    def test_a_dag_that_has_begun_goes_on(self, server, raw):
        """Its later operations are not refused: what has been started is finished."""
        operations = " |> AI.MODELEXECUTE m INPUTS 1 a OUTPUTS 1 a" * 3
        with held(server) as release:
            dags = queue(server, *[words(f"AI.DAGEXECUTE LOAD 1 a PERSIST 1 a{operations}")] * REQUESTS)
            release()
            assert [client.read() for client in dags] == [[OK] * 3] * REQUESTS
        assert get_tensor(raw, "a").tolist() == [4]

    def test_requests_that_wait_for_partners_count(self, server, raw):
        store_model(raw, "batched", onnx_models.add_constant(1), "BATCHSIZE", 10, "MINBATCHSIZE", 9)
        commands = [execute_command("batched", ["a"], ["z"], "TIMEOUT", 300)] * REQUESTS
        waiting = queue(server, *commands)
        assert execute(raw, "batched", ["a"], ["y"]) == TOO_MANY
        assert [client.read() for client in waiting] == [TIMEDOUT] * REQUESTS

    def test_the_limit_is_each_devices_own(self, server, raw):
        with held(server) as release:
            waiting = queue(server, *[execute_command("m", ["a"], ["z"])] * REQUESTS)
            assert [execute(raw, "m1", ["a"], ["y"]) for _ in range(3)] == [OK] * 3
            release()
            assert [client.read() for client in waiting] == [OK] * REQUESTS


LEAVE = [
    pytest.param(lambda client: client.close(), id="close"),
    pytest.param(lambda client: client.abort(), id="reset"),
]


@pytest.mark.parametrize("leave", LEAVE)
class TestClientsThatLeave:
    """Section 10.5. What nobody could notice is not run; everything else is run to the end, and writes no outputs."""

    @pytest.mark.parametrize(
        "command",
        [
            "AI.DAGEXECUTE LOAD 1 a |> AI.MODELEXECUTE m INPUTS 1 a OUTPUTS 1 y |> AI.TENSORGET y",
            "AI.DAGEXECUTE_RO LOAD 1 a |> AI.MODELEXECUTE m INPUTS 1 a OUTPUTS 1 y |> AI.TENSORGET y",
            "AI.DAGRUN LOAD 1 a |> AI.MODELRUN m INPUTS a OUTPUTS y",
            "AI.DAGRUN_RO LOAD 1 a |> AI.MODELRUN m INPUTS a OUTPUTS y |> AI.MODELRUN m INPUTS y OUTPUTS y",
        ],
    )
    def test_a_dag_without_effects_is_not_run(self, server, raw, counted, leave, command):
        with held(server) as release:
            queue_and_leave(server, command, leave)
            release()
        assert execute(raw, "m", ["a"], ["z"]) == OK
        assert stats(raw, "m")["calls"] == 1
        assert counted() == only(cancelled_requests=1)
        assert queue_field(server, "waiting_requests") == 0

    @pytest.mark.parametrize(
        "command, runs",
        [
            ("AI.MODELEXECUTE m INPUTS 1 a OUTPUTS 1 y", 1),
            ("AI.MODELRUN m INPUTS a OUTPUTS y", 1),
            ("AI.DAGEXECUTE LOAD 1 a PERSIST 1 y |> AI.MODELEXECUTE m INPUTS 1 a OUTPUTS 1 y", 1),
            (
                "AI.DAGRUN LOAD 1 a PERSIST 2 a y |> AI.MODELRUN m INPUTS a OUTPUTS y"
                " |> AI.MODELRUN m INPUTS y OUTPUTS a",
                2,
            ),
            # with a script, whatever else there is
            (
                "AI.DAGEXECUTE LOAD 1 a |> AI.MODELEXECUTE m INPUTS 1 a OUTPUTS 1 y"
                " |> AI.SCRIPTEXECUTE s log KEYS 1 l ARGS 1 x",
                1,
            ),
            ("AI.DAGRUN_RO LOAD 1 a |> AI.MODELRUN m INPUTS a OUTPUTS y |> AI.SCRIPTRUN s log", 1),
        ],
    )
    def test_everything_else_is_run_and_not_written(self, server, raw, counted, leave, command, runs):
        assert raw.call("AI.INFO", "s", "RESETSTAT") == OK
        with held(server) as release:
            queue_and_leave(server, command, leave)
            release()
        eventually(lambda: stats(raw, "m")["calls"] == runs, "the abandoned request has run")
        if "AI.SCRIPT" in command:
            eventually(lambda: stats(raw, "s")["calls"] == 1, "the script has run")
            assert raw.call("LLEN", "l") == ("AI.SCRIPTEXECUTE" in command)
        assert execute(raw, "m", ["a"], ["z"]) == OK
        assert raw.call("EXISTS", "y") == 0
        assert get_tensor(raw, "a").tolist() == [1]
        assert counted() == only()

    def test_a_run_that_has_begun_ends(self, server, raw, leave):
        """Between two operations of a DAG: the first is counted, the second is not run."""
        store_model(raw, "loop", onnx_models.counting_loop())
        set_tensor(raw, "n", [200_000], "INT64")
        [leaving] = queue(
            server,
            words(
                "AI.DAGEXECUTE LOAD 2 a n |> AI.MODELEXECUTE loop INPUTS 2 n a OUTPUTS 1 y"
                " |> AI.MODELEXECUTE m1 INPUTS 1 y OUTPUTS 1 y"
            ),
        )
        eventually(lambda: queue_field(server, "waiting_requests") == 0, "the first runs")
        leave(leaving)
        eventually(lambda: stats(raw, "loop")["calls"] == 1, "the first has run")
        assert execute(raw, "m1", ["a"], ["z"]) == OK
        assert stats(raw, "m1")["calls"] == 1

    def test_room_for_others(self, server, raw, leave):
        """Those that are not run do not keep the queue full."""
        dag = words("AI.DAGEXECUTE_RO LOAD 1 a |> AI.MODELEXECUTE m INPUTS 1 a OUTPUTS 1 y")
        with held(server) as release:
            for client in queue(server, *[dag] * REQUESTS):
                leave(client)
            eventually(lambda: queue_field(server, "waiting_requests") == 0, "nobody waits any more", timeout=3)
            [other] = queue(server, execute_command("m", ["a"], ["z"]))
            release()
            assert other.read() == OK
        assert stats(raw, "m")["calls"] == 1


class TestTimeouts:
    """Section 6.3, extended: the answer does not wait until the worker comes to the request."""

    @pytest.mark.alone
    @pytest.mark.parametrize(
        "command",
        [
            "AI.MODELEXECUTE m INPUTS 1 a OUTPUTS 1 y TIMEOUT 30",
            "AI.MODELRUN m TIMEOUT 30 INPUTS a OUTPUTS y",
            "AI.SCRIPTEXECUTE s log KEYS 1 l ARGS 1 x TIMEOUT 30",
            "AI.SCRIPTRUN s log TIMEOUT 30",
            "AI.DAGEXECUTE LOAD 1 a PERSIST 1 y TIMEOUT 30 |> AI.MODELEXECUTE m INPUTS 1 a OUTPUTS 1 y",
            "AI.DAGEXECUTE_RO LOAD 1 a TIMEOUT 30 |> AI.MODELEXECUTE m INPUTS 1 a OUTPUTS 1 y",
            "AI.DAGRUN LOAD 1 a PERSIST 1 y TIMEOUT 30 |> AI.MODELRUN m INPUTS a OUTPUTS y",
            "AI.DAGRUN_RO LOAD 1 a TIMEOUT 30 |> AI.SCRIPTRUN s log",
        ],
    )
    def test_behind_a_run_that_lasts(self, server, raw, counted, command):
        with held(server) as release:
            started = time.monotonic()
            assert raw.call(*words(command)) == TIMEDOUT
            elapsed = time.monotonic() - started
            # 150 ms after it expired on an idle machine; test machines are shared
            assert 0.03 <= elapsed < 1
            assert queue_field(server, "waiting_requests") == 0
            assert counted() == only(timed_out_requests=1)
            release()
        assert raw.call("EXISTS", "y", "l") == 0
        assert stats(raw, "m")["calls"] == 0

    def test_each_at_its_time(self, server, raw, counted):
        with held(server) as release:
            patient, short, long = queue(
                server,
                *(execute_command("m", ["a"], [f"y{timeout}"], "TIMEOUT", timeout) for timeout in (60000, 30, 500)),
            )
            assert short.read() == TIMEDOUT
            assert not long.has_reply(within=0)
            assert long.read() == TIMEDOUT
            assert not patient.has_reply(within=0)
            release()
            assert patient.read() == OK
        assert counted() == only(timed_out_requests=2)
        assert stats(raw, "m")["calls"] == 1

    def test_a_run_is_not_interrupted(self, server, raw):
        [holder] = queue(server, [*hold_operation("gate"), "TIMEOUT", 50])
        eventually(lambda: raw.call("EXISTS", "gate:held"), "the run has begun")
        assert not holder.has_reply(within=0.25)
        raw.call("SET", "gate", "open")
        assert holder.read() == OK
