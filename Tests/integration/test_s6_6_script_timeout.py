"""Reference section 6.6 for TorchScript: MODEL_EXECUTION_TIMEOUT ends scripts and modules that take too long."""

import time

import pytest

from support import torch_models
from support.commands import execute, get_tensor, set_tensor, stats
from support.long_runs import store_loop
from support.resp import OK, Error
from support.scripts import (
    GATE,
    INTERRUPTED,
    entry_point,
    failure,
    occupied_worker,
    run_script,
    script_command,
    store_entry_points,
)

MODULE_ARGS = ("MODEL_EXECUTION_TIMEOUT", "1000")
KEPT_KEYS = ("s",)
ENDLESS = {
    "plain": ("while True:", "    pass"),
    "nested": (
        *("i = 0", "while True:", "    for j in range(3):"),
        *("        while i % 2 == 0:", "            i += 1", "        i += 1"),
    ),
    "innermost": ("for i in range(2):", "    for j in range(2):", "        while True:", "            pass"),
    "huge_range": ("i = 0", "for j in range(9223372036854775807):", "    i = j", "return torch.tensor(i)"),
    "of_tensors": ("x = torch.ones(1)", "while bool(x.sum() > 0):", "    x = x + 1", "return x"),
    "comprehension": ("return torch.tensor([i for i in range(9223372036854775807)])",),
    "helper": ("return torch.tensor(never(1))",),
    "commands": ("while True:", '    redis.execute("PING")'),
    "between_commands": (
        *("i = 1", 'redis.execute("SET", "begun", "1")'),
        *("while i > 0:", "    i += 1", 'redis.execute("SET", "ended", "1")'),
    ),
}
SOURCE = (
    GATE
    + "def never(i: int) -> int:\n    while i > 0:\n        i += 1\n    return i\n"
    + "".join(entry_point(name, *body) for name, body in ENDLESS.items())
    + entry_point("one", "return torch.tensor([1])")
    + entry_point("count", "i = 0", "while i < int(args[0]):", "    i += 1", "return torch.tensor(i)")
    + entry_point("model", 'return redisAI.model_execute("loop", tensors, 1)')
)


@pytest.fixture(autouse=True)
def script(raw):
    store_entry_points(raw, "s", SOURCE)
    assert raw.call("AI.INFO", "s", "RESETSTAT") == OK


def store_module(raw, key, blob):
    assert raw.call("AI.MODELSTORE", key, "TORCH", "CPU", "BLOB", blob) == OK


class TestScripts:
    @pytest.mark.one_server
    @pytest.mark.parametrize("function", [name for name in ENDLESS if name != "commands"])
    def test_endless_loops(self, raw, function):
        started = time.monotonic()
        reply = run_script(raw, "s", function, [], ["y"])
        elapsed = time.monotonic() - started
        assert INTERRUPTED in failure(reply)
        assert 1.0 <= elapsed < 4.0, elapsed
        assert raw.call("EXISTS", "y") == 0
        assert (stats(raw, "s")["calls"], stats(raw, "s")["errors"]) == (1, 1)
        # The worker and the script are usable again at once.
        assert run_script(raw, "s", "one", [], ["y"]) == OK

    def test_effects_before_the_interruption_stay(self, raw):
        failure(run_script(raw, "s", "between_commands", [], ["y"]))
        assert raw.call("MGET", "begun", "ended") == [b"1", None]

    def test_an_endless_loop_of_commands(self, server, raw):
        """Its waiting for the server does not count, so it lasts longer; others are served meanwhile."""
        slowest = 0.0
        with server.raw() as waiting:
            waiting.send(*script_command("s", "commands", [], ["y"]))
            while not waiting.has_reply(within=0.01):
                started = time.monotonic()
                assert raw.call("PING").text == "PONG"
                slowest = max(slowest, time.monotonic() - started)
            assert INTERRUPTED in failure(waiting.read())
        assert slowest < 1.0, slowest

    def test_timeout_makes_no_difference(self, raw):
        started = time.monotonic()
        reply = run_script(raw, "s", "plain", [], ["y"], "TIMEOUT", 100)
        assert INTERRUPTED in failure(reply)
        assert time.monotonic() - started >= 1.0

    def test_requests_behind_it_are_served(self, server, raw):
        with server.raw() as waiting:
            waiting.send(*script_command("s", "plain", [], ["y"]))
            assert not waiting.has_reply(within=0.05)
            assert run_script(raw, "s", "one", [], ["y"]) == OK
            assert INTERRUPTED in failure(waiting.read())

    @pytest.mark.one_server
    def test_shorter_runs_are_left_alone(self, raw):
        deadline = time.monotonic() + 1.5
        while time.monotonic() < deadline:
            assert run_script(raw, "s", "count", [], ["y"], args=["10000"]) == OK

    def test_waiting_for_the_server_is_not_punished(self, server, raw):
        """The main thread is busy for more than twice the limit, and the script waits in redis.execute."""
        with server.raw() as waiting, server.raw() as sleeper:
            waiting.send(*script_command("s", "wait_for", [], ["y"], keys=["gate"]))
            assert not waiting.has_reply(within=0.05)
            assert sleeper.pipeline([["DEBUG", "SLEEP", "2.5"], ["SET", "gate", "open"]]) == [OK, OK]
            assert waiting.read() == OK
        assert stats(raw, "s")["errors"] == 0

    def test_a_model_in_a_script(self, raw):
        """The engine that runs is the one that is interrupted; the script ends with its text."""
        store_loop(raw)
        reply = run_script(raw, "s", "model", ["loop:endless", "loop:x"], ["y"])
        assert "Exiting due to terminate flag being set to true" in failure(reply)
        assert run_script(raw, "s", "model", ["loop:tiny", "loop:x"], ["y"]) == OK

    @pytest.mark.parametrize(
        "how, function",
        [(["SHUTDOWN", "NOSAVE"], "plain"), (["SHUTDOWN", "SAVE"], "commands")],
        ids=["calculating", "using the server"],
    )
    def test_shutdown_during_a_run(self, start_server, how, function):
        server = start_server("MODEL_EXECUTION_TIMEOUT", "60000")
        raw = server.raw()
        store_entry_points(raw, "s", SOURCE)
        waiting = server.raw()
        waiting.send(*script_command("s", function))
        assert not waiting.has_reply(within=0.2)
        raw.send(*how)
        deadline = time.monotonic() + 10
        while server.alive() and time.monotonic() < deadline:
            time.sleep(0.02)
        assert server.exit_status == 0
        assert server.crash_report() is None


@pytest.mark.one_server
class TestModules:
    @pytest.mark.parametrize("where", ["", "in_submodule", "fork"])
    def test_endless_loops(self, raw, where):
        store_module(raw, "m", torch_models.endless(where))
        set_tensor(raw, "positive", [1])
        set_tensor(raw, "zero", [0])
        started = time.monotonic()
        reply = execute(raw, "m", ["positive"], ["y"])
        elapsed = time.monotonic() - started
        assert INTERRUPTED in failure(reply)
        assert 1.0 <= elapsed < 4.0, elapsed
        assert execute(raw, "m", ["zero"], ["y"]) == OK
        assert get_tensor(raw, "y").tolist() == [0]

    def test_timeout_makes_no_difference(self, raw):
        store_module(raw, "m", torch_models.endless())
        set_tensor(raw, "positive", [1])
        assert INTERRUPTED in failure(execute(raw, "m", ["positive"], ["y"], "TIMEOUT", 100))

    @pytest.mark.parametrize("where", ["fork", "fork_left"])
    def test_no_processor_time_is_used_afterwards(self, server, raw, where):
        """The loop has ended, not only the wait for it."""
        store_module(raw, "m", torch_models.endless(where))
        set_tensor(raw, "positive", [1])
        execute(raw, "m", ["positive"], ["y"])
        before = _processor_seconds(server)
        time.sleep(1)
        assert _processor_seconds(server) - before < 0.5


def _processor_seconds(server) -> float:
    cpu = server.info("cpu")
    return float(cpu["used_cpu_sys"]) + float(cpu["used_cpu_user"])


def test_a_gate_can_be_left(server, raw):
    """The helper of these tests itself: its run ends when the key is set."""
    with occupied_worker(server, "s") as waiting:
        raw.call("SET", "gate", "open")
        assert waiting.read() == OK
    assert not isinstance(raw.call("AI.TENSORGET", "{gate}:out"), Error)
